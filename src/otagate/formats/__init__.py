"""Firmware files: bytes to values, and back to the very bytes that a device is sent.

Holds: `zigbee`, the parser of the Zigbee OTA upgrade file with the wrappers that vendors put around it; `contents`, what lies inside, told by
`silabs`, `telink` and `nxp`; the checks of the whole, `integrity` and `ikea`; `zwave`, the containers of Z-Wave images (`zwave_hex`, `zwave_updater`,
`zwave_archive`); and `identify`, the one entry that says what a file is, which checks it passes, and where the bytes to send lie in it.

Imports: model, the standard library, and the AES block cipher of cryptography.

Never: I/O, a clock, a copy of a whole image, a step whose cost grows faster than the file, or any error but an ImageError.

Add one: a new container is a module with `parse` and `facts`, one line in `identify.identify`, and its test with a mutation run; a new format
inside is a module with `recognise` and `check`, and two lines in `contents`. A check fails only where no good file can; a new one raises
`identify.CHECKS`.
"""
