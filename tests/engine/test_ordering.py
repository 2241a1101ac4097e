"""An order under an idempotency key is one order, however often it is sent, whoever dies in between."""

from __future__ import annotations

import asyncio

import pytest

from otagate.engine import ordering
from otagate.engine.patches import DevicePatch
from otagate.engine.views import OrderKey, OrderRequest, OrderResult
from otagate.model.errors import KeyReused, StoreUnavailable
from otagate.model.ids import zigbee_device_id
from otagate.model.lifecycle import State
from otagate.model.receipts import Receipt
from otagate.ports import Receipts
from tests.engine.bench import Bench, Hub
from tests.engine.radio import LAMP, NEW, OLD, Lamp
from tests.virtual_time import instantly

KEY = OrderKey(key="7f3c-1", digest="aa" * 32)
UNWANTED = DevicePatch(pin=OLD, skipped=(NEW,))
STRANGER = zigbee_device_id(99)


async def send(hub: Hub, key: OrderKey | None = KEY, *, actor: str = "anna", **wishes: object) -> OrderResult:
    wishes.setdefault("devices", (LAMP, STRANGER))
    return await hub.desk.order(OrderRequest(**wishes), actor=actor, key=key)  # type: ignore[arg-type]


def told(result: OrderResult) -> tuple[list[str], list[tuple[str, str, str, str | None, str]]]:
    """The updates, and everything that an answer tells of a refusal."""
    refused = [(each.device, each.error.code, each.error.retry, each.reason, str(each.error)) for each in result.refused]
    return [each.update.id for each in result.updates], refused


async def ready(hub: Hub) -> None:
    await hub.add_image(NEW)
    await hub.ready()


@instantly
async def test_the_same_order_under_its_key_is_made_once_and_told_again_as_it_stands() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        await ready(hub)
        first = await send(hub)
        assert (len(first.updates), len(first.refused), first.replayed) == (1, 1, False)
        again = await send(hub)
        assert (told(again), again.replayed) == (told(first), True)
        await hub.until_ended(first.updates[0].update.id)
        assert (await send(hub)).updates[0].update.state is State.SUCCEEDED
    async with bench.hub() as hub:
        await ready(hub)
        assert told(await send(hub)) == told(first)
    assert len(await bench.rows()) == 1


@instantly
async def test_an_order_that_was_refused_as_a_whole_is_told_again_too() -> None:
    bench = Bench(lamps={LAMP: Lamp(version=NEW)})
    async with bench.hub() as hub:
        await ready(hub)
        first = await send(hub, devices=(LAMP,))
        assert [each.error.code for each in first.refused] == ["already-current"]
        bench.lamp.version = OLD
        await hub.desk.check(LAMP, actor="test")
        again = await send(hub, devices=(LAMP,))
        assert (told(again), again.replayed) == (told(first), True)
        assert len((await send(hub, OrderKey(key="7f3c-2", digest=KEY.digest), devices=(LAMP,))).updates) == 1


@instantly
async def test_another_order_under_the_same_key_is_refused_and_makes_nothing() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        await ready(hub)
        await send(hub, devices=(STRANGER,))
        with pytest.raises(KeyReused, match="7f3c-1"):
            await send(hub, OrderKey(key=KEY.key, digest="bb" * 32), devices=(LAMP,))
    assert await bench.rows() == []


@instantly
async def test_a_key_is_its_owners() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        await ready(hub)
        await send(hub, actor="anna")
        other = await send(hub, OrderKey(key=KEY.key, digest="bb" * 32), actor="ben")
        assert not other.replayed
        assert [each.error.code for each in other.refused] == ["already-updating", "unknown-device"]


@instantly
async def test_a_key_is_forgotten_after_a_day() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        await ready(hub)
        first = await send(hub)
        await hub.until_ended(first.updates[0].update.id)
        await hub.pass_time(hours=23)
        assert (await send(hub)).replayed
        await hub.pass_time(hours=2)
        await send(hub, OrderKey(key="another", digest=KEY.digest))  # the next receipt sweeps
        late = await send(hub)
        assert not late.replayed
        assert [each.error.code for each in late.refused] == ["already-current", "unknown-device"]


@instantly
async def test_receipts_are_kept_in_a_bounded_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ordering, "MOST_RECEIPTS", 3)
    bench = Bench()
    async with bench.hub() as hub:
        await ready(hub)
        for number in range(5):
            await send(hub, OrderKey(key=f"k{number}", digest=KEY.digest), devices=(STRANGER,))
            await hub.pass_time(seconds=1)
        kept = [await hub.store.receipts.get("anna", f"k{number}") is not None for number in range(5)]
    assert kept == [False, False, True, True, True]


class SlowReceipts:
    """Receipts whose reader is told a few turns of the loop later, as from the thread of a disk."""

    def __init__(self, inner: Receipts) -> None:
        self.put = inner.put
        self._get = inner.get

    async def get(self, actor: str, key: str) -> Receipt | None:
        found = await self._get(actor, key)
        for _ in range(20):
            await asyncio.sleep(0)
        return found


@pytest.mark.parametrize("head_start", range(10))
@instantly
async def test_the_same_order_sent_twice_at_once_is_made_once_and_answered_twice(head_start: int) -> None:
    bench = Bench()
    async with bench.hub() as hub:
        await ready(hub)
        hub.store.receipts = SlowReceipts(hub.store.receipts)
        async with asyncio.TaskGroup() as group:
            first = group.create_task(send(hub))
            for _ in range(head_start):
                await asyncio.sleep(0)
            second = group.create_task(send(hub))
        assert told(first.result()) == told(second.result())
        assert sorted((first.result().replayed, second.result().replayed)) == [False, True]
    assert len(await bench.rows()) == 1


@instantly
async def test_a_full_disk_takes_neither_order_nor_key_and_the_order_can_be_sent_again() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        await ready(hub)
        hub.store.full = True
        with pytest.raises(StoreUnavailable):
            await send(hub)
        hub.store.full = False
        made = await send(hub)
        assert (len(made.updates), made.replayed) == (1, False)


@instantly
async def test_a_hub_that_dies_with_the_order_on_disk_tells_it_again_in_its_next_life() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        await ready(hub)
        hub.kill_when("created")
        lost = await send(hub)  # the answer that the client never got
    async with bench.hub() as hub:
        again = await send(hub)
        assert (told(again), again.replayed) == (told(lost), True)
    assert len(await bench.rows()) == 1


@instantly
async def test_a_plan_takes_no_key() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        await ready(hub)
        await send(hub, dry_run=True)
        assert await hub.store.receipts.get("anna", KEY.key) is None
        assert not (await send(hub)).replayed


# --- what an order overrules and holds ----------------------------------------------------------------------------------------------------------


@instantly
async def test_an_override_overrules_what_it_names_and_the_journal_says_why() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        await ready(hub)
        await hub.desk.amend(LAMP, UNWANTED, actor="anna")
        for override in ((), ("skipped",), ("pinned",), ("battery_low", "cooldown")):
            result = await send(hub, None, devices=(LAMP,), override=override, because="x")
            assert [each.error.code for each in result.refused] == ["policy-refused"], override
        result = await send(hub, None, devices=(LAMP,), override=("pinned", "skipped"), because="the vendor asked for it")
        update = result.updates[0].update
        assert (update.override, update.because, update.force) == (("pinned", "skipped"), "the vendor asked for it", False)
        assert (await hub.until_ended(update.id)).state is State.SUCCEEDED
        (created,) = await bench.facts("created")
    assert (created.actor, created.data["override"], created.data["because"]) == ("anna", "pinned, skipped", "the vendor asked for it")


@instantly
async def test_an_image_that_is_held_is_used_only_at_the_word() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        await ready(hub)
        update = (await send(hub, None, devices=(LAMP,), activate="held")).updates[0].update
        await hub.until_state(update.id, State.STAGED)
        await hub.pass_time(days=1)
        assert (hub.state(update.id), bench.lamp.version) == (State.STAGED, OLD)
        await hub.desk.activate(update.id, actor="ben")
        assert (await hub.until_ended(update.id)).state is State.SUCCEEDED
        actors = {fact.kind: fact.actor for fact in (await hub.desk.log(update.id)).items}
    assert actors["activated"] == "ben"
    assert bench.lamp.version == NEW


@instantly
async def test_a_retry_wants_what_the_order_wanted() -> None:
    bench = Bench(lamps={LAMP: Lamp(goes="rejects")})
    async with bench.hub() as hub:
        await ready(hub)
        await hub.desk.amend(LAMP, UNWANTED, actor="anna")
        wishes = {"override": ("pinned", "skipped"), "because": "tried", "activate": "held"}
        first = (await send(hub, None, devices=(LAMP,), **wishes)).updates[0].update
        await hub.until_ended(first.id)
        again = (await hub.desk.retry(first.id, actor="ben")).update
        assert (again.override, again.because, again.hold_activation, again.actor) == (("pinned", "skipped"), "tried", True, "ben")
        await hub.desk.cancel(again.id, actor="ben")
