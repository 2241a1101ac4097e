"""Coordinators: zigpy's application for everything ordinary, our own path for the OTA Upgrade cluster.

Holds: `zigbee` (the Radio over zigpy), `stacks` (radio libraries by name), `znp_path` (the fast path of Z-Stack), `outbox` (the one bounded sender
of a radio), `attach` (which network is ours, and whether somebody else drives the stick).

Imports: ports, model, sessions, and the radio libraries, which no other room names.

Never: a write to the store, an answer of zigpy's own OTA server, a network formed or restored without an operator's word.

Add one: a zigpy radio library is a line in `stacks.STACKS`; a fast path for it is one module like `znp_path` named in that line.
"""
