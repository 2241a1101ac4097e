"""Coordinators: zigpy's application for everything ordinary, our own path for the OTA Upgrade cluster; Z-Wave controllers behind their driver.

Holds: `zigbee` (the Radio over zigpy), `connection` (one life of its line: `listening` before the first byte, `attach` for which network is ours),
`switchboard` (frames to sessions, effects out), `sender` and `outbox` (the one bounded sender), `peers` (devices as zigpy knows them), `stacks`
(radio libraries by name), `exchange` (what every fast path does), `znp_path` and `znp_line` (the fast path of Z-Stack, and what its library does not
offer), `ezsp_path`, `ash_link` and `ash` (the fast path of EmberZNet, its line shared with bellows, and the frames on it), `silence` (zigpy's own OTA
server), `floods` (what one device may ask of zigpy), `library` (errors as ours); `zwave` (the Radio over zwave-js-server), `zwave_line` (the
connection, and raw commands over it), `zwave_nodes` (nodes as devices), `zwave_transfers` (orders to sessions, effects out); `cloud` (the Radio of
devices that their own clouds update) and `cloud_devices` (what clouds tell as devices); `zigbee2mqtt` (the Radio beside a running zigbee2mqtt),
`zigbee2mqtt_requests` (what is asked of it), `zigbee2mqtt_transfers` (orders to sessions, effects out), `zigbee2mqtt_devices` (its devices as
ours) and `handouts` (files that another program fetches once); `remote` (what is the same of radios that other programs drive), `advances` (what
sessions tell, as events) and `recent` (what happened a moment ago, and is forgotten after it); `probe` and `holders` (what answers on a serial port,
and who holds it), `backup` (copies of a network).

Imports: ports, model, sessions, sources (what a cloud is asked), and the radio libraries, which no other room names.

Never: a write to the store, an answer of zigpy's own OTA server, a network formed or restored without an operator's word, a byte to a coordinator
that another program drives, a transfer of another program stopped or begun twice.

Add one: a zigpy radio library is a line in `stacks.STACKS`; a fast path for it is one module like `znp_path` named in that line.
"""
