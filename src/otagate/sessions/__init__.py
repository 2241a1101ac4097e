"""Talk with one device, sans-IO: events and the time go in, effects come out.

Holds: `zigbee` (the server side of the OTA Upgrade cluster for one device), `ota_frames` (its bytes), `ota_transfer` (the record of one image on its
way), `ota_notify` (when one broadcast tells several), `ota_pages` (many blocks for one request, as fast as the device takes them), `ota_timing` (when
it wants attention), `ota_verdicts` (what the device's word means for the update), `ota_limits` (what a device may ask in vain), `effects` (what a
session may want done), `telling` (what it tells until that is on disk); `zwave` (the observer of a Firmware Update Meta Data CC transfer that a
driver makes), `zwave_words` (what it hears and wants done), `zwave_outcomes` (what statuses and errors mean), `zwave_patience` (how long it waits);
`delegated` (the observer of a job that a device's own cloud carries out) and `delegated_words`; `zigbee2mqtt` (an update that zigbee2mqtt carries out
with our image), `zigbee2mqtt_words`, and `zigbee2mqtt_documents` (what it publishes).

Imports: model.

Never: a clock, a socket, a task, a log line, or a radio library. A session may be called from a radio's own callback: it never blocks.

Add one: a session is a class with `receive(event, now) -> effects` and a playbook in tests/playbooks; its radio performs the effects.
"""
