"""Nouns of the domain and their laws.

Holds: `ids`, `devices` (with their components), `links` (how well they are heard), `networks` and `clouds` (devices as others tell of them),
`portraits` (how one was set before its update); `versions`, `releases`, `images`, `quirks`, `advisories`; `updates`, `rollouts`, `orders` (what
sessions are told), `receipts`, `verdicts`, `facts` (of the journal), `waits`, `text` (of others, for people), the tree of `errors`, and `lifecycle`:
the one transition table of an update, read by code, recovery, tests and documentation alike.

Imports: the standard library only.

Never: I/O, a clock, a random number, asyncio, or the name of a radio library.

Add one: a new noun is a frozen dataclass in the module of its family; a new state or cause is one line in `lifecycle.TABLE` and one in its test.
"""
