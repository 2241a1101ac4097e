"""Nouns of the domain and their laws.

Holds: device ids, components, versions, releases, images, updates, quirks, journal facts, verdicts, the error tree, and `lifecycle`: the one
transition table of an update, read by code, recovery, tests and documentation alike.

Imports: the standard library only.

Never: I/O, a clock, a random number, asyncio, or the name of a radio library.

Add one: a new noun is a frozen dataclass in the module of its family; a new state or cause is one line in `lifecycle.TABLE` and one in its test.
"""
