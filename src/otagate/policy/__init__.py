"""Decisions: may this firmware go to this device, and when.

Holds: `match` (does a release fit a component), `trust` (are these the bytes that the release promised), `judge` (allow, ask, or refuse: always
with a reason), `plan` (which release is the best), `window` (when the air may be used), `pace` (how long an update takes), `guards` (for what one
waits before it begins), `admit` (which waiting updates may use the air now), `retry` (when a failed attempt may be made again), `settings`.

Imports: model only.

Never: I/O, a clock (`now` is given), a random number, or a decision without a sentence that says why.

Add one: a new rule about a device and a release is a function in the table of `match` or `judge`, one line there, and its rows in the decision
table of the test: one that it decides and one that it leaves alone. A new guard is a function in `guards` and its place in the rules of `admit`.
"""
