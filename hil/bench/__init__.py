"""`python -m hil.bench`: what the hub does, what it costs, and what its peers do on the same simulated radio, held against what should be reached.

Holds: `parts` (what the benchmark consists of) with a module for each: `peers` (the hub, zigpy's own OTA server and zigbee-herdsman's, one after the
other: `rows`, `measure`, `children`, and the hosts `hub`, `zigpy_host`, `herdsman.js`), `aps` (the hub's own part of a block), `fleet` (fifty devices
in virtual time), `upkeep` (what a hub costs its machine), `desk` (the API while firmware flows, its host `busy_hub`), `queue`, `zwave` (hosts
`zwave_hub`, `zwave_client`) and `page`; `verdicts` (medians, spread, reaches) and `lag` (how late an event loop is).

Imports: otagate, otagate_rig, zigpy.

Never: a figure without its peer from the same run, or from bytes that were not verified.

Add one: a module with `REACHES` and a coroutine that finds figures in an empty folder, and its line in `parts`; a row in `rows.ROWS`; another peer is
a host module like `zigpy_host` and a line in `measure`.
"""
