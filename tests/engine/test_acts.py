"""What an operator may do to an update in each of its states: the whole table, written down apart from the code."""

from __future__ import annotations

from dataclasses import replace

import pytest

from otagate.engine.drafts import Past, draft
from otagate.model.errors import NotCancellable, NotInState, OtagateError
from otagate.model.ids import UpdateId
from otagate.model.lifecycle import State
from otagate.model.updates import Update
from otagate.policy.activation import Staging
from tests.engine.bench import Bench, Hub
from tests.engine.radio import LAMP, NEW
from tests.virtual_time import instantly

# verb → state → what becomes of the update; states that are not named refuse with NotInState
ALLOWED: dict[str, dict[str, str]] = {
    "cancel": dict.fromkeys(("planned", "queued", "fetching", "offering", "transferring", "staged"), "cancelled"),
    "pause": {state: state for state in ("planned", "queued", "fetching", "offering", "transferring")},
    "approve": {"planned": "queued"},
    "activate": {"staged": "staged"},  # no radio is up here: the word is noted, and reaches the device when one is
    "retry": dict.fromkeys(("failed", "cancelled", "superseded"), "queued"),
}
TOO_LATE = {("cancel", "activating"), ("cancel", "confirming")}
CASES = [pytest.param(verb, state, id=f"{verb} {state}") for verb in ALLOWED for state in State]


async def still(bench: Bench) -> Hub:
    """A hub that knows its device and an image, and does nothing by itself: nothing but the operator moves an update."""
    hub = Hub(bench)
    await hub.add_image(NEW)
    await hub.registry.found(bench.lamp.describe(interrogated=False))
    await hub.registry.interrogated(bench.lamp.describe(interrogated=True))
    return hub


async def put(hub: Hub, state: State, **changes: object) -> Update:
    device = hub.registry.device(LAMP)
    (image,) = await hub.desk.images()
    release = hub.library.release(image.sha256)
    made = draft(device, device.components[0], release, now=hub.clock.now(), actor="anna", past=Past(()), staging=Staging(hold_activation=True))
    made = replace(made, id=UpdateId("u1"), state=state, finished=hub.clock.now() if state.final else None, **changes)
    async with hub.store.transaction():
        await hub.store.updates.put(made)
    return made


async def act(hub: Hub, verb: str) -> Update:
    return (await getattr(hub.desk, verb)(UpdateId("u1"), actor="ben")).update


@pytest.mark.parametrize(("verb", "state"), CASES)
@instantly
async def test_an_act_does_what_the_state_allows_and_otherwise_changes_nothing(verb: str, state: State) -> None:
    bench = Bench()
    hub = await still(bench)
    before = await put(hub, state)
    expected = ALLOWED[verb].get(state)
    if expected is None:
        wrong: type[OtagateError] = NotCancellable if (verb, state) in TOO_LATE else NotInState
        with pytest.raises(wrong, match=state):
            await act(hub, verb)
        assert await bench.rows() == [before]
        assert all(fact.subject != "update" for fact in await bench.facts())
        return
    after = await act(hub, verb)
    assert after.state == expected
    assert (after.id == before.id) == (verb != "retry")
    *_, fact = await bench.facts()
    assert (fact.subject, fact.subject_id, fact.actor, fact.data["state"]) == ("update", after.id, "ben", expected)


@pytest.mark.parametrize("state", State)
@instantly
async def test_what_is_paused_goes_on_in_the_state_that_it_was_in(state: State) -> None:
    hub = await still(Bench())
    await put(hub, state)
    if state in ALLOWED["pause"]:
        assert (await act(hub, "pause")).paused
        assert (await act(hub, "pause")).paused  # a second time is no error
        resumed = await act(hub, "resume")
        assert (resumed.state, resumed.paused, resumed.reason) == (state, False, None)
    with pytest.raises(NotInState, match="not paused"):
        await act(hub, "resume")
