"""Orchestration: what happens when, without the name of any library.

Holds: journal (the ONE writer and publisher of facts), ledger (the ONE place where an update changes state), registry (the same for devices and
radios), library, refresher, clouds (sources whose devices their own cloud updates), interrogator, consultant, conductor (a task per admitted update,
its `course`), controls and halt (what operators do to updates), intake (what radios tell), ordering (orders and their receipts), patches (what
operators say of devices), errands (what operators ask, done to its end), timers, supervise, and `desk`: what an operator may ask.

Imports: model, policy, formats, ports.

Never: aiohttp, zigpy, sqlite or any other adapter's library; a write to the store outside journal, ledger, registry and desk.

Add one: a new step of an update is a coroutine in the conductor and a line in `model.lifecycle.TABLE`; a new thing to ask is a method of `Desk`.
"""
