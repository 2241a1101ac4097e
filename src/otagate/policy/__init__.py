"""Decisions: may this firmware go to this device, and when.

Holds, in the order of an update's life:

- which release: `match` (does it fit a component), `casebook` (what is known against it), `judge` (allow, ask, or refuse: always with a reason),
  `catalogue` (what is offered and what is stored, as one list), `plan` (which is the best), `chain` (those that lead to it), `job` (what belongs
  together), `settings` (what the operator wants in general);
- when: `window` (when the air may be used), `guards` (for what one waits before it begins), `air` (what the radios bear now) and `admit` (who may use
  it), `lease` (who has a stick that two programs share), `rollout` (when the next wave opens), `pace`, `cost` and `forecast` (how long, how dear, and
  when it ends), `airtime` (when the next block may);
- what came of it: `trust` (are these the bytes that were promised), `activation` (when the device uses them), `behaviour` and `health` (is it as
  before), `retry` (is it tried again), `notices` (who is told);
- `trace`: what every rule says of one case.

Imports: model.

Never: I/O, a clock (`now` is given), a random number, or a decision without a sentence that says why.

Add one: a new rule about a device and a release is a function in the table of `match` or `judge`, one line there, and its rows in the decision
table of the test: one that it decides and one that it leaves alone. A new guard is a function in `guards` and its place in the rules of `admit`.
"""
