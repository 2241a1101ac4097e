"""Coordinators: zigpy's application for everything ordinary, our own path for the OTA Upgrade cluster; Z-Wave controllers behind their driver.

Holds, by whose radio it is:

- Zigbee over zigpy: `zigbee` (the Radio), `connection` (one life of its line: `listening` before the first byte, `attach` for which network is ours),
  `switchboard` (frames to sessions, effects out), `sender` and `outbox` (the one bounded sender), `crier` (who is told of an image by broadcast),
  `peers` (devices as zigpy knows them), `interviews` (those that failed, held again), `zigbee_portraits` (how a device is set), `meter` (how much the
  radio has to do), `silence` (zigpy's own OTA server), `floods` (what one device may ask of zigpy), `library` (errors as ours), `zigpy_database` and
  `zigpy_schema` (zigpy's file outside of a radio's life), `backup` (copies of a network);
- its fast paths: `stacks` (radio libraries by name), `exchange` (what every path does), `znp_path` and `znp_line` (Z-Stack, and what its library does
  not offer), `ezsp_path`, `ash_link` and `ash` (EmberZNet, its line shared with bellows, and the frames on it);
- Z-Wave over zwave-js-server: `zwave` (the Radio), `zwave_line` (the connection, and raw commands over it), `zwave_nodes` (nodes as devices),
  `zwave_transfers` (orders to sessions, effects out), `zwave_aftermath` (nodes that took an image), `zwave_portraits`;
- devices that their own clouds update: `cloud` (the Radio), `cloud_devices` (what clouds tell as devices), `cloud_orders` (who is told with whom);
- a running zigbee2mqtt: `zigbee2mqtt` (the Radio), `zigbee2mqtt_requests` (what is asked of it), `zigbee2mqtt_transfers` (orders to sessions, effects
  out), `zigbee2mqtt_devices` (its devices as ours), `handouts` (files that another program fetches once);
- what they share: `remote` (radios that other programs drive), `advances` (what sessions tell, as events), `questions` (what devices are asked in one
  life of a radio), `recent` (what happened a moment ago, and is forgotten after it); `probe` and `holders` (what answers on a serial port, and who
  holds it), `handover` (a stick that belongs to another program); `anchors` (certificate authorities that zigpy ships).

Imports: ports, model, sessions, sources (what a cloud is asked), and the radio libraries, which no other room names.

Never: a write to the store, an answer of zigpy's own OTA server, a network formed or restored without an operator's word, a byte to a coordinator
that another program drives, a transfer of another program stopped or begun twice.

Add one: a zigpy radio library is a line in `stacks.STACKS`; a fast path for it is one module like `znp_path` named in that line.
"""
