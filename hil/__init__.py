"""Against hardware, simulated or real, from the outside: benchmarks and rounds on a bench.

Holds: `rigfile` (the bench as a file, and the only devices on it that may be updated), `plugin` (the bench as pytest fixtures), `hub` (the daemon as
a process, behind the allow-list), `console` and `relay` (what stands beside the radio, on a `line`), `rounds` and `tests` (from A to B and back,
power cuts, a coordinator without its plug, soak), `bench` (ratios against zigpy's own OTA server, measured in the same run).

Imports: otagate and otagate_rig.

Never: an order past the allow-list; the radio's port opened here; a pass mark made of time in the test suite: goals are printed, not asserted.

Add one: a benchmark is a row in `bench/rows.py`; a round is a test in `tests/` that takes the fixtures of `plugin`.
"""
