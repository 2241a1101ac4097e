"""Orchestration: what happens when, without the name of any library.

Holds, by what they are about:

- facts and states: `journal` (the ONE writer and publisher of facts), `ledger` (the ONE place where an update changes state), `roster` (every update
  that has not ended, as last committed), `registry` (the ONE place where devices and radios change) and `merging` (what a device tells, joined with
  what was known);
- what radios tell: `intake` (in order, to whom it concerns), `interrogator` (which firmware devices run);
- sources: `refresher` (asks them again), `feeds` (what every kind of source looks like), `offers` (services), `shelf` (a watched folder), `bulletin`
  (an operator's advisories), `clouds` (sources whose devices their own cloud updates), `bound` with `pins` (IoTaaP), `talks` (conversations, driven),
  `quotas` (counts that a restart keeps);
- images: `library`, `fetcher` (from an update to an image that may be sent), `keeping` (which stay), `recalls` (what is known against one now);
- decisions: `consultant` (policy asked; automatic updates), `cases` (what is known against releases), `drafts` and `drafting` (updates that are not
  made yet), `ordering` (orders and their receipts), `goback` (the last good image), `jobs` (updates that belong together), `rollouts` and
  `rollout_book`;
- who runs: `conductor` (a task per admitted update), `queue` with `waiting` (who waits, and for what), `parking` (that, told to sessions), `outlook`
  (the world as policy sees it), `inquiries` (interlocks), `curfew` and `closing` (windows that close), `activations` (who may use its image), `halt`
  (everything, or one radio, stopped), `lending` with `agenda` (a stick that another program has);
- one update that runs: `course` (its row, its session, and commits before answers), `life` (which step follows), `delivery` and `proof` (the steps),
  `serving`, `mailbox`, `conversation`, `reader`, `progress`, `confirmation`, `keeper`, `vigil`, `certificate`; `tools` is what they work with;
- operators: `desk` (what they may ask) with `readings`, `views`, `controls`, `patches`, `foresight` (what would happen), `audit`, `reporter`,
  `errands` (done to their end), `notifier`, `metrics`;
- time and life: `timers` (the ONE door of time), `waits`, `supervise`, `pulse`, `upkeep`.

Imports: model, formats, sources, policy, ports, reports, config.

Never: aiohttp, zigpy, sqlite or any other adapter's library; a fact or a state written past journal, ledger and registry.

Add one: a new step of an update is a coroutine of `delivery` or `proof`, its state in `life`, and a line in `model.lifecycle.TABLE`; a new thing to
ask is a method of `desk.Desk` and of the port of the API.
"""
