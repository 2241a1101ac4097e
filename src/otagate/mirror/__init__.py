"""What this hub's policy allows, offered to other programs in the formats of indexes that they read.

Holds: `selection` (which stored images may be offered, for which models), `dialects` (the indexes of zigbee2mqtt and zigpy), `server`
(who serves them).

Imports: aiohttp. It speaks with the hub over its API, like any other client.

Never: an image that policy refuses to any known device of the model that it is offered for.

Add one: a dialect is a function in `dialects`, one line in its table, and its test with the program that reads it.
"""
