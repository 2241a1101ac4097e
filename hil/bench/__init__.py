"""`python -m hil.bench`: the hub and zigpy's own OTA server over the same simulated radio, the same devices, the same image, one after the other.

Holds: `rows` (what is measured), `children` (the rig and the hosts as processes of their own), `hub` and `zigpy_host` (the two hosts), `measure` (one
transfer), `session` (the OTA session alone), `report` (medians, ratios, goals). Runs of their own are
`upkeep` (what a hub costs its machine) and `zwave` (what it adds to the Z-Wave driver's time; its hosts are `zwave_hub` and `zwave_client`, and `lag`
watches an event loop).

Imports: otagate, otagate_rig, zigpy.

Never: a figure without its peer from the same run, or from bytes that were not verified.

Add one: a row in `rows.ROWS`; another peer is a host module like `zigpy_host` and a line in `rows.HOSTS`.
"""
