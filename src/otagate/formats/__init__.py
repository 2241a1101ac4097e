"""Firmware files: bytes to values, and back to the very bytes that a device is sent.

Holds: `zigbee`, the parser of the Zigbee OTA upgrade file with the wrappers that vendors put around it, and `identify`, the one entry that says
what a file is and where the bytes to send lie in it.

Imports: model, and the standard library.

Never: I/O, a clock, a copy of a whole image, a step whose cost grows faster than the file, or any error but an ImageError.

Add one: a new container is a module with `parse` and `facts`, one line in `identify.identify`, and its test with a mutation run.
"""
