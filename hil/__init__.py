"""Against hardware, simulated or real, from the outside: benchmarks and rounds on a bench.

Holds: `bench` (ratios against zigpy's own OTA server, measured in the same run).

Imports: otagate and otagate_rig.

Never: a pass mark made of time in the test suite; goals are printed, not asserted.

Add one: a benchmark is a row in `bench/rows.py`.
"""
