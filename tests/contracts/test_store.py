"""The exam that every store sits: what the engine relies on, whatever keeps it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from types import MappingProxyType

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otagate.model.devices import Component, Device, PolicyOverride
from otagate.model.errors import LocalProtocolError, StoreError, StoreUnavailable, UnknownDevice, UnknownImage, UnknownUpdate
from otagate.model.facts import Fact
from otagate.model.ids import ComponentId, DeviceId, RadioName, Sha256, UpdateId
from otagate.model.images import Check, Image, ImageFacts
from otagate.model.lifecycle import FINAL, State
from otagate.model.portraits import Portrait, Setting
from otagate.model.receipts import Receipt, RefusalNote
from otagate.model.rollouts import DEFAULT_WAVES, Rollout, RolloutId, RolloutState, Selection, Wave
from otagate.model.updates import Failure, Update
from otagate.ports import Store
from otagate.stores import open_store

NOW = datetime(2026, 3, 29, 1, 30, 0, 123456, tzinfo=UTC)
PATIENCE = 10.0
LAMP = DeviceId("zigbee-000d6f000a9069e7")
PLUG = DeviceId("zigbee-00158d0001a2b3c4")
MAIN = ComponentId("0x1409")

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture(params=["memory:", "sqlite:///otagate.db"], ids=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    async with asyncio.timeout(100), open_store(request.param, tmp_path) as opened:
        yield opened


def an_update(name: str = "u1", **changes: object) -> Update:
    plain = Update(
        id=UpdateId(name),
        device=LAMP,
        component=MAIN,
        radio=RadioName("zigbee0"),
        manufacturer_code=0x1189,
        image_type=0x1409,
        from_version=1,
        to_version=0xFFFF_FFFE,
        source="directory",
        image=None,
        state=State.PLANNED,
        bytes_total=240_000,
        created=NOW,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def a_full_update() -> Update:
    return an_update(
        "full",
        from_version=None,
        image=Sha256("ab" * 32),
        state=State.FAILED,
        bytes_sent=17,
        started=NOW + timedelta(seconds=1),
        finished=NOW + timedelta(days=1, microseconds=1),
        reason="backoff",
        error=Failure(code="transfer-stalled", detail='Gerät "schweigt" – 静か'),
        attempts=3,
        completed_transfers=1,
        allow_downgrade=True,
        force=True,
        not_before=NOW.replace(microsecond=0),
        hold_activation=True,
        activation_owed=True,
        actor="uid:1000",
        job="job-1",
        step=2,
        steps=3,
    )


def a_device(device_id: DeviceId = LAMP, **changes: object) -> Device:
    return replace(Device(id=device_id, radio=RadioName("zigbee0")), **changes)  # type: ignore[arg-type]


def a_full_device() -> Device:
    components = (
        Component(id=MAIN, version=0x01020509, manufacturer_code=0x1189, image_type=0x1409, hardware_version=2, endpoint=11),
        Component(id=ComponentId("0x140a")),
    )
    return a_device(
        name="Flur ☀",
        manufacturer="OSRAM",
        model="Plug 01\x00",
        manufacturer_code=0x1189,
        power="battery",
        sleepy=True,
        online=False,
        last_seen=NOW,
        last_checked=NOW - timedelta(days=3650),
        battery_percent=0,
        pin=5,
        skipped=(1, 2, 3),
        room="Küche",
        groups=("hall", "lights"),
        policy=PolicyOverride(default="automatic", retries=0, channel="beta", cooldown=timedelta(hours=36), battery_floor=0),
        components=components,
    )


def an_image(digit: str = "a", **changes: object) -> Image:
    facts = ImageFacts(
        format="zigbee-ota",
        size=210_000,
        manufacturer_code=0x1189,
        image_type=0x1409,
        file_version=0x01020509,
        stack_version=2,
        header_string="EBL PLUG",
        hardware_min=1,
        hardware_max=2,
        security_credential_version=0,
        destination=0xFFFF_FFFF_FFFF_FFFE,
        checks=(Check(name="size", result="pass", detail="as the header says"),),
    )
    return replace(Image(sha256=Sha256(digit * 64), file_name="../../etc/passwd", facts=facts, added=NOW, models=("Lamp 1", "Lämp 2")), **changes)  # type: ignore[arg-type]


def a_fact(**changes: object) -> Fact:
    return replace(Fact(at=NOW, subject="update", subject_id="u1", kind="created"), **changes)  # type: ignore[arg-type]


def a_receipt(key: str = "k1", **changes: object) -> Receipt:
    note = RefusalNote(device=PLUG, code="radio-unavailable", detail="zigbee0 läuft nicht", retry="later", reason="offline")
    plain = Receipt(actor="uid:1000", key=key, digest="ab" * 32, at=NOW, updates=(UpdateId("u1"), UpdateId("u2")), refused=(note,))
    return replace(plain, **changes)  # type: ignore[arg-type]


async def keep(store: Store, *receipts: Receipt, since: datetime = NOW - timedelta(days=1), most: int = 10) -> None:
    async with store.transaction():
        for each in receipts:
            await store.receipts.put(each, since=since, most=most)


async def put(store: Store, *values: Update | Device | Image) -> None:
    async with store.transaction():
        for value in values:
            match value:
                case Update():
                    await store.updates.put(value)
                case Device():
                    await store.devices.put(value)
                case Image():
                    await store.catalogue.put(value)


async def append(store: Store, *facts: Fact) -> list[Fact]:
    async with store.transaction():
        return [await store.facts.append(each) for each in facts]


async def keep_busy(store: Store) -> None:
    """Statements of this task, and turns of the loop between them: whoever does not wait for the transaction would slip in."""
    for _ in range(20):
        await store.facts.append(a_fact())
        await asyncio.sleep(0)


def ids(updates: object) -> list[str]:
    return [each.id for each in updates]  # type: ignore[attr-defined]


# --- values come back as they were -----------------------------------------------------------------------------------------------------


async def test_an_update_with_every_field_set_comes_back_equal(store: Store) -> None:
    await put(store, a_full_update())
    assert await store.updates.get(UpdateId("full")) == a_full_update()


async def test_an_update_with_only_what_it_needs_comes_back_equal(store: Store) -> None:
    await put(store, an_update())
    assert await store.updates.get(UpdateId("u1")) == an_update()


async def test_a_device_with_every_field_set_comes_back_equal(store: Store) -> None:
    await put(store, a_full_device())
    assert await store.devices.get(LAMP) == a_full_device()


async def test_an_image_comes_back_equal_with_a_destination_of_64_bits_and_its_checks(store: Store) -> None:
    await put(store, an_image())
    assert await store.catalogue.get(Sha256("a" * 64)) == an_image()


async def test_what_comes_back_has_tuples_and_states_and_not_their_look_alikes(store: Store) -> None:
    await put(store, a_full_update(), a_full_device())
    update, device = await store.updates.get(UpdateId("full")), await store.devices.get(LAMP)
    assert isinstance(update.state, State)
    assert isinstance(device.skipped, tuple)
    assert isinstance(device.components, tuple)


async def test_a_fact_comes_back_with_the_types_of_its_data(store: Store) -> None:
    data = {"true": True, "one": 1, "one_and": 1.0, "text": "1", "none": None, "big": 2**40, "time": "2026-01-01T00:00:00Z", "empty": ""}
    (stored,) = await append(store, a_fact(data=data, actor="panel"))
    (read,) = await store.facts.after(0)
    assert read == stored
    assert {key: type(value) for key, value in read.data.items()} == {key: type(value) for key, value in data.items()}


async def test_the_data_of_a_fact_may_be_a_read_only_mapping(store: Store) -> None:
    await append(store, a_fact(data=MappingProxyType({"percent": 5})))
    (read,) = await store.facts.after(0)
    assert dict(read.data) == {"percent": 5}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    at=st.datetimes(timezones=st.just(UTC)),
    data=st.dictionaries(
        st.text(max_size=20), st.none() | st.booleans() | st.integers(-(2**63), 2**64) | st.floats(allow_nan=False, allow_infinity=False) | st.text()
    ),
)
async def test_any_moment_and_any_scalars_come_back_equal(store: Store, at: datetime, data: dict[str, str | int | float | bool | None]) -> None:
    (stored,) = await append(store, a_fact(at=at, data=data))
    (read,) = await store.facts.after(stored.number - 1)
    assert read == stored


async def test_a_moment_of_another_zone_comes_back_as_the_same_moment(store: Store) -> None:
    berlin = datetime(2026, 10, 25, 2, 30, 0, 1, tzinfo=timezone(timedelta(hours=2)))
    await put(store, an_update(created=berlin))
    read = await store.updates.get(UpdateId("u1"))
    assert read.created == berlin
    assert read.created.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "broken",
    [
        a_fact(at=datetime(2026, 1, 1)),  # noqa: DTZ001 - the fault that is tested
        a_fact(data={"rate": float("nan")}),
        a_fact(data={"eta": float("inf")}),
        a_fact(data={"name": "\ud800"}),
        a_fact(data={"name": "x" * 2_000_000}),
        a_fact(data={"object": object()}),
    ],
    ids=["no zone", "nan", "infinity", "no unicode", "endless", "no scalar"],
)
async def test_a_value_that_could_not_come_back_is_refused_and_the_transaction_goes_on(store: Store, broken: Fact) -> None:
    async with store.transaction():
        await store.facts.append(a_fact(kind="first"))
        with pytest.raises(StoreError, match="fact cannot be stored"):
            await store.facts.append(broken)
        await store.facts.append(a_fact(kind="second"))
    assert [(each.number, each.kind) for each in await store.facts.after(0)] == [(1, "first"), (2, "second")]


# --- updates ---------------------------------------------------------------------------------------------------------------------------


async def test_an_unknown_update_is_named_in_the_error(store: Store) -> None:
    with pytest.raises(UnknownUpdate, match="nobody"):
        await store.updates.get(UpdateId("nobody"))


async def test_putting_an_update_again_replaces_it_and_keeps_its_place(store: Store) -> None:
    await put(store, an_update("a"), an_update("b"))
    await put(store, an_update("a", state=State.QUEUED, bytes_sent=9))
    assert await store.updates.get(UpdateId("a")) == an_update("a", state=State.QUEUED, bytes_sent=9)
    assert ids(await store.updates.page()) == ["b", "a"]


async def test_unfinished_are_those_that_have_not_ended_oldest_first(store: Store) -> None:
    await put(store, *(an_update(state.value, state=state) for state in State))
    assert ids(await store.updates.unfinished()) == [state.value for state in State if state not in FINAL]


async def test_unfinished_of_one_device_leaves_the_others_out(store: Store) -> None:
    await put(store, an_update("a"), an_update("b", device=PLUG), an_update("c", state=State.FAILED), an_update("d"))
    assert ids(await store.updates.unfinished(LAMP)) == ["a", "d"]
    assert ids(await store.updates.unfinished(DeviceId("zigbee-ffffffffffffffff"))) == []


async def test_pages_run_from_newest_to_oldest_and_meet_every_update_once(store: Store) -> None:
    await put(store, *(an_update(f"u{number:02}") for number in range(10)))
    met: list[str] = []
    before: UpdateId | None = None
    while page := await store.updates.page(limit=3, before=before):
        met += ids(page)
        before = page[-1].id
    assert met == [f"u{number:02}" for number in reversed(range(10))]


async def test_a_page_goes_on_below_its_cursor_although_newer_updates_came_meanwhile(store: Store) -> None:
    await put(store, an_update("a"), an_update("b"), an_update("c"))
    first = await store.updates.page(limit=1)
    await put(store, an_update("d"))
    assert ids(await store.updates.page(before=first[-1].id)) == ["b", "a"]


async def test_a_page_can_ask_for_states_and_for_a_device(store: Store) -> None:
    await put(
        store,
        an_update("a", state=State.FAILED),
        an_update("b", state=State.QUEUED),
        an_update("c", state=State.FAILED, device=PLUG),
        an_update("d", state=State.SUCCEEDED),
    )
    assert ids(await store.updates.page(states=frozenset({State.FAILED, State.SUCCEEDED}))) == ["d", "c", "a"]
    assert ids(await store.updates.page(device=LAMP)) == ["d", "b", "a"]
    assert ids(await store.updates.page(states=frozenset({State.FAILED}), device=LAMP)) == ["a"]
    assert ids(await store.updates.page(states=frozenset())) == []


@pytest.mark.parametrize("limit", [0, -1])
async def test_a_limit_of_nothing_gives_nothing(store: Store, limit: int) -> None:
    await put(store, an_update())
    await append(store, a_fact())
    assert list(await store.updates.page(limit=limit)) == []
    assert list(await store.facts.after(0, limit=limit)) == []


async def test_a_page_goes_on_where_the_last_row_of_the_one_before_is_gone(store: Store) -> None:
    await put(store, *(an_update(f"u{number:02}") for number in (1, 2, 4, 5)))
    assert ids(await store.updates.page(before=UpdateId("u03"))) == ["u02", "u01"]
    assert ids(await store.updates.page(before=UpdateId("u00"))) == []
    assert ids(await store.updates.page(before=UpdateId("u99"))) == ["u05", "u04", "u02", "u01"]


async def test_the_latest_update_of_a_component_is_the_one_made_last_even_when_the_clock_stepped_back(store: Store) -> None:
    await put(
        store,
        an_update("a", created=NOW),
        an_update("b", created=NOW - timedelta(days=400)),
        an_update("c", component=ComponentId("0x140a")),
        an_update("d", device=PLUG),
    )
    latest = await store.updates.latest(LAMP, MAIN)
    assert latest is not None
    assert latest.id == "b"
    assert await store.updates.latest(PLUG, ComponentId("0x9999")) is None


# --- devices, images, settings ---------------------------------------------------------------------------------------------------------


async def test_devices_are_listed_by_id_and_replaced_by_id(store: Store) -> None:
    await put(store, a_device(PLUG), a_device(LAMP, name="old"), a_device(LAMP, name="new"))
    assert [(each.id, each.name) for each in await store.devices.all()] == [(LAMP, "new"), (PLUG, "")]


async def test_a_forgotten_device_is_unknown_and_its_updates_stay(store: Store) -> None:
    await put(store, a_device(), an_update())
    async with store.transaction():
        await store.devices.delete(LAMP)
        await store.devices.delete(PLUG)  # never known
    with pytest.raises(UnknownDevice, match=LAMP):
        await store.devices.get(LAMP)
    assert (await store.updates.get(UpdateId("u1"))).device == LAMP


async def test_images_are_listed_newest_first_and_by_arrival_within_one_moment(store: Store) -> None:
    await put(store, an_image("a"), an_image("b", added=NOW + timedelta(microseconds=1)), an_image("c"), an_image("d", added=NOW - timedelta(days=1)))
    assert [each.sha256[0] for each in await store.catalogue.all()] == ["b", "c", "a", "d"]


async def test_a_forgotten_image_is_unknown(store: Store) -> None:
    await put(store, an_image("a"))
    async with store.transaction():
        await store.catalogue.delete(Sha256("a" * 64))
        await store.catalogue.delete(Sha256("b" * 64))
    with pytest.raises(UnknownImage, match="a" * 64):
        await store.catalogue.get(Sha256("a" * 64))
    assert list(await store.catalogue.all()) == []


async def test_a_setting_is_none_until_it_is_put_and_then_the_last_value(store: Store) -> None:
    assert await store.settings.get("halt") is None
    async with store.transaction():
        await store.settings.put("halt", "yes")
        await store.settings.put("halt", "")
    assert await store.settings.get("halt") == ""


async def test_an_id_that_is_no_unicode_is_nobodys(store: Store) -> None:
    await put(store, an_update(), a_device())
    with pytest.raises(UnknownUpdate):
        await store.updates.get(UpdateId("\udcff"))
    with pytest.raises(UnknownDevice):
        await store.devices.get(DeviceId("\udcff"))
    assert await store.settings.get("\udcff") is None


# --- the journal -----------------------------------------------------------------------------------------------------------------------


async def test_an_empty_journal_ends_at_0(store: Store) -> None:
    assert await store.facts.last_number() == 0
    assert list(await store.facts.after(0)) == []


async def test_facts_are_numbered_from_1_without_gaps_whatever_number_they_bring(store: Store) -> None:
    stored = await append(store, a_fact(number=77), a_fact(), a_fact(number=1))
    assert [each.number for each in stored] == [1, 2, 3]
    assert [each.number for each in await store.facts.after(0)] == [1, 2, 3]
    assert await store.facts.last_number() == 3


async def test_a_rollback_gives_its_numbers_back(store: Store) -> None:
    await append(store, a_fact())
    with suppress(ZeroDivisionError):
        async with store.transaction():
            assert (await store.facts.append(a_fact())).number == 2
            raise ZeroDivisionError
    assert [each.number for each in await append(store, a_fact(), a_fact())] == [2, 3]


async def test_facts_after_a_number_come_in_order_and_stop_at_the_limit(store: Store) -> None:
    await append(store, *(a_fact(kind=f"k{number}") for number in range(1, 11)))
    assert [each.number for each in await store.facts.after(4, limit=3)] == [5, 6, 7]
    assert [each.number for each in await store.facts.after(-5, limit=1)] == [1]
    assert list(await store.facts.after(10)) == []
    assert list(await store.facts.after(2**70)) == []
    assert [each.number for each in await store.facts.before(limit=3)] == [10, 9, 8]
    assert [each.number for each in await store.facts.before(3)] == [2, 1]
    assert [each.number for each in await store.facts.before(2**70, limit=1)] == [10]
    assert list(await store.facts.before(1)) == list(await store.facts.before(-5)) == list(await store.facts.before(limit=0)) == []


async def test_the_oldest_facts_can_be_forgotten_and_numbers_go_on_where_they_were(store: Store) -> None:
    await append(store, *(a_fact(kind=f"k{number}") for number in range(1, 11)))
    async with store.transaction():
        await store.facts.forget(4)
    assert [(each.number, each.kind) for each in await store.facts.after(0, limit=2)] == [(5, "k5"), (6, "k6")]
    assert [each.number for each in await store.facts.after(7)] == [8, 9, 10]
    assert [each.number for each in await store.facts.before(7)] == [6, 5]
    assert [each.number for each in await store.facts.before(limit=100)] == [10, 9, 8, 7, 6, 5]
    assert [each.number for each in await append(store, a_fact())] == [11]
    async with store.transaction():
        await store.facts.forget(3)  # once more
        await store.facts.forget(-1)
    assert [each.number for each in await store.facts.after(0)] == [5, 6, 7, 8, 9, 10, 11]


async def test_the_newest_fact_is_never_forgotten(store: Store) -> None:
    async with store.transaction():
        await store.facts.forget(100)
    await append(store, a_fact(), a_fact())
    async with store.transaction():
        await store.facts.forget(2**70)
    assert [each.number for each in await store.facts.after(0)] == [2]
    assert await store.facts.last_number() == 2
    assert [each.number for each in await append(store, a_fact())] == [3]


async def test_a_rollback_brings_back_what_was_forgotten(store: Store) -> None:
    await append(store, a_fact(), a_fact(), a_fact())
    with suppress(ZeroDivisionError):
        async with store.transaction():
            await store.facts.forget(2)
            raise ZeroDivisionError
    assert [each.number for each in await store.facts.after(0)] == [1, 2, 3]
    with pytest.raises(LocalProtocolError):
        await store.facts.forget(1)


async def test_facts_can_be_read_of_one_subject(store: Store) -> None:
    await append(store, a_fact(), a_fact(subject="device", subject_id="u1"), a_fact(subject_id="u2"), a_fact())
    assert [each.number for each in await store.facts.after(0, subject="update")] == [1, 3, 4]
    assert [each.number for each in await store.facts.after(1, subject="update", subject_id="u1")] == [4]
    assert [each.number for each in await store.facts.after(0, subject="update", subject_id="u1", limit=1)] == [1]
    assert [each.number for each in await store.facts.before(subject="update", limit=2)] == [4, 3]
    assert [each.number for each in await store.facts.before(4, subject="update", subject_id="u1")] == [1]


# --- receipts --------------------------------------------------------------------------------------------------------------------------


async def test_a_receipt_comes_back_as_it_was_to_who_ordered_and_to_nobody_else(store: Store) -> None:
    await keep(store, a_receipt())
    assert await store.receipts.get("uid:1000", "k1") == a_receipt()
    assert await store.receipts.get("uid:1001", "k1") is None
    assert await store.receipts.get("uid:1000", "K1") is None


async def test_a_receipt_under_a_key_that_is_known_takes_its_place(store: Store) -> None:
    await keep(store, a_receipt(), a_receipt(digest="cd" * 32))
    found = await store.receipts.get("uid:1000", "k1")
    assert found is not None
    assert found.digest == "cd" * 32


async def test_receipts_are_forgotten_with_age_and_by_number(store: Store) -> None:
    await keep(store, *(a_receipt(f"k{number}", at=NOW + timedelta(hours=number)) for number in range(6)), most=4)
    assert [await store.receipts.get("uid:1000", f"k{number}") is not None for number in range(6)] == [False, False, True, True, True, True]
    await keep(store, a_receipt("late", at=NOW + timedelta(hours=6)), since=NOW + timedelta(hours=5))
    known = [await store.receipts.get("uid:1000", key) is not None for key in ("k4", "k5", "late")]
    assert known == [False, True, True]


# --- rollouts --------------------------------------------------------------------------------------------------------------------------


def a_rollout(name: str = "r1", **changes: object) -> Rollout:
    waves = tuple(Wave(plan=plan, devices=(LAMP, PLUG), opened=NOW, proved=NOW, forgiven=1) for plan in DEFAULT_WAVES)
    plain = Rollout(
        id=RolloutId(name),
        name="lamps of the hall",
        select=Selection(model="LCT0*", group="hall", radio="zigbee0", devices=(LAMP, PLUG)),
        version="0x01020003",
        waves=waves,
        state=RolloutState.RUNNING,
        sentence="Wave 1 is under way.",
        actor="token:admin",
        created=NOW,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


async def test_a_rollout_comes_back_as_it_was_and_keeps_its_place(store: Store) -> None:
    async with store.transaction():
        await store.rollouts.put(a_rollout())
        await store.rollouts.put(a_rollout("r2"))
        await store.rollouts.put(ended := a_rollout(state=RolloutState.FINISHED, finished=NOW))
    assert await store.rollouts.all() == [ended, a_rollout("r2")]


async def test_updates_are_found_by_their_rollout(store: Store) -> None:
    mine = [an_update(f"u{n}", rollout=RolloutId("r1"), wave=n) for n in (1, 2)]
    await put(store, *mine, an_update("u3", rollout=RolloutId("r2")), an_update("u4"))
    assert await store.updates.page(rollout=RolloutId("r1")) == mine[::-1]
    assert await store.updates.page(rollout=RolloutId("r1"), before=UpdateId("u2")) == mine[:1]
    assert await store.updates.page(rollout=RolloutId("r3")) == []


# --- portraits -------------------------------------------------------------------------------------------------------------------------


async def test_a_portrait_comes_back_as_it_was_until_it_is_forgotten(store: Store) -> None:
    binding = Setting(kind="binding", question="bindings", at="1/0x0006/000d6f000a9069e7/1")
    portraits = {UpdateId(name): Portrait(answered=("bindings", name), settings=(binding,)) for name in ("u1", "u2", "u3")}
    async with store.transaction():
        for name, portrait in portraits.items():
            await store.portraits.put(name, Portrait())
            await store.portraits.put(name, portrait)
    async with store.transaction():
        for name in ("u2", "u9"):
            await store.portraits.forget(UpdateId(name))
    assert [await store.portraits.get(UpdateId(name)) for name in ("u1", "u2", "u3")] == [portraits[UpdateId("u1")], None, portraits[UpdateId("u3")]]


# --- transactions ----------------------------------------------------------------------------------------------------------------------


async def test_a_transaction_that_fails_leaves_nothing_in_any_table(store: Store) -> None:
    await put(store, an_update(), a_device(), an_image())
    with suppress(ZeroDivisionError):
        async with store.transaction():
            await store.updates.put(an_update(state=State.FAILED))
            await store.devices.delete(LAMP)
            await store.catalogue.delete(Sha256("a" * 64))
            await store.facts.append(a_fact())
            await store.settings.put("halt", "yes")
            raise ZeroDivisionError
    assert (await store.updates.get(UpdateId("u1"))).state is State.PLANNED
    assert [each.id for each in await store.devices.all()] == [LAMP]
    assert len(await store.catalogue.all()) == 1
    assert await store.facts.last_number() == 0
    assert await store.settings.get("halt") is None


async def test_the_task_of_a_transaction_reads_its_own_writes(store: Store) -> None:
    async with store.transaction():
        await store.updates.put(an_update())
        assert await store.updates.get(UpdateId("u1")) == an_update()
        await store.facts.append(a_fact())
        assert await store.facts.last_number() == 1


async def test_another_task_never_sees_what_is_rolled_back(store: Store) -> None:
    await put(store, an_update())
    async with asyncio.TaskGroup() as group:
        with suppress(ZeroDivisionError):
            async with store.transaction():
                await store.updates.put(an_update(state=State.FAILED))
                reader = group.create_task(store.updates.get(UpdateId("u1")))
                await keep_busy(store)
                assert not reader.done()
                raise ZeroDivisionError
        assert (await reader).state is State.PLANNED


async def test_another_task_that_reads_waits_for_the_commit_and_sees_it(store: Store) -> None:
    async with asyncio.TaskGroup() as group:
        async with store.transaction():
            await store.settings.put("halt", "yes")
            reader = group.create_task(store.settings.get("halt"))
            await keep_busy(store)
            assert not reader.done()
        assert await reader == "yes"


@pytest.mark.parametrize(
    "table", ["updates", "devices", "catalogue", "facts", "receipts", "rollouts", "portraits", "settings", "forget a device", "forget an image"]
)
async def test_a_write_outside_a_transaction_is_refused_and_changes_nothing(store: Store, table: str) -> None:
    writes = {
        "updates": lambda: store.updates.put(an_update()),
        "devices": lambda: store.devices.put(a_device()),
        "catalogue": lambda: store.catalogue.put(an_image()),
        "facts": lambda: store.facts.append(a_fact()),
        "receipts": lambda: store.receipts.put(a_receipt(), since=NOW, most=1),
        "rollouts": lambda: store.rollouts.put(a_rollout()),
        "portraits": lambda: store.portraits.put(UpdateId("u1"), Portrait()),
        "settings": lambda: store.settings.put("halt", "yes"),
        "forget a device": lambda: store.devices.delete(LAMP),
        "forget an image": lambda: store.catalogue.delete(Sha256("a" * 64)),
    }
    if table.startswith("forget"):
        await put(store, a_device(), an_image())
    expected = (len(await store.devices.all()), len(await store.catalogue.all()))
    with pytest.raises(LocalProtocolError, match="outside a transaction"):
        await writes[table]()
    assert (len(await store.devices.all()), len(await store.catalogue.all())) == expected
    assert (await store.facts.last_number(), await store.settings.get("halt"), len(await store.updates.page())) == (0, None, 0)


async def test_a_write_by_another_task_does_not_ride_on_a_transaction_that_is_not_its_own(store: Store) -> None:
    async with asyncio.TaskGroup() as group, store.transaction():
        await store.settings.put("mine", "1")
        stranger = group.create_task(_refused(store))
        assert await stranger
    assert (await store.settings.get("mine"), await store.settings.get("theirs")) == ("1", None)


async def _refused(store: Store) -> bool:
    with pytest.raises(LocalProtocolError):
        await store.settings.put("theirs", "1")
    return True


async def test_a_transaction_inside_a_transaction_is_refused_and_the_outer_one_goes_on(store: Store) -> None:
    async with store.transaction():
        await store.settings.put("outer", "1")
        with pytest.raises(LocalProtocolError, match="inside a transaction"):
            async with store.transaction():
                pytest.fail("a second transaction began")
        await store.settings.put("outer", "2")
    assert await store.settings.get("outer") == "2"


async def test_transactions_of_many_tasks_follow_one_another_and_none_is_lost(store: Store) -> None:
    async def count_up() -> None:
        async with store.transaction():
            before = int(await store.settings.get("count") or "0")
            await store.facts.append(a_fact())
            await store.settings.put("count", str(before + 1))

    async with asyncio.TaskGroup() as group:
        for _ in range(50):
            group.create_task(count_up())
    assert await store.settings.get("count") == "50"
    assert [each.number for each in await store.facts.after(0)] == list(range(1, 51))


async def test_a_cancelled_transaction_is_rolled_back_and_the_next_one_begins(store: Store) -> None:
    inside = asyncio.Event()

    async def hang() -> None:
        async with store.transaction():
            await store.settings.put("halt", "yes")
            inside.set()
            await asyncio.Event().wait()

    async with asyncio.TaskGroup() as group:
        hanging = group.create_task(hang())
        await inside.wait()
        hanging.cancel()
    assert hanging.cancelled()
    assert await store.settings.get("halt") is None
    await put(store, an_update())
    assert ids(await store.updates.page()) == ["u1"]


async def test_a_task_cancelled_while_it_waits_for_its_turn_leaves_the_turn_to_the_next(store: Store) -> None:
    async def write(key: str) -> None:
        async with store.transaction():
            await store.settings.put(key, "1")

    async with asyncio.TaskGroup() as group:
        async with store.transaction():
            impatient = group.create_task(write("impatient"))
            patient = group.create_task(write("patient"))
            await keep_busy(store)
            impatient.cancel()
            await keep_busy(store)
        await patient
    assert impatient.cancelled()
    assert (await store.settings.get("impatient"), await store.settings.get("patient")) == (None, "1")


async def test_a_cancellation_at_any_await_of_a_transaction_leaves_all_of_it_or_nothing(store: Store) -> None:
    # The n-th turn of the event loop is hit for growing n, until the transaction ends before its cancellation comes.
    rounds = outlived = 0
    while outlived < 3:
        rounds += 1
        assert rounds < 2000
        key = f"round{rounds}"

        async def write(key: str = key) -> None:
            async with store.transaction():
                await store.settings.put(f"{key}a", "1")
                await store.facts.append(a_fact())
                await store.settings.put(f"{key}b", "1")

        async with asyncio.TaskGroup() as group:
            task = group.create_task(write())
            for _ in range(rounds):
                await asyncio.sleep(0)
            outlived += task.done()
            task.cancel()
        halves = (await store.settings.get(f"{key}a"), await store.settings.get(f"{key}b"))
        assert halves in ((None, None), ("1", "1"))
        if not task.cancelled():
            assert halves == ("1", "1")
    numbers = [each.number for each in await store.facts.after(0)]
    assert numbers == list(range(1, len(numbers) + 1))


# --- the end ---------------------------------------------------------------------------------------------------------------------------


async def test_a_closed_store_refuses_everything_and_closes_again_without_complaint(store: Store) -> None:
    await store.close()
    await store.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        await store.devices.all()
    with pytest.raises(StoreUnavailable, match="closed"):
        async with store.transaction():
            pytest.fail("a transaction began in a closed store")
    with pytest.raises(StoreUnavailable, match="closed"):
        await store.settings.put("halt", "yes")


async def test_closing_waits_for_the_transaction_of_another_task(store: Store) -> None:
    async with asyncio.TaskGroup() as group:
        async with store.transaction():
            closing = group.create_task(store.close())
            await keep_busy(store)
            assert not closing.done()
        await closing


async def test_closing_inside_a_transaction_is_refused_and_the_transaction_goes_on(store: Store) -> None:
    async with store.transaction():
        await store.settings.put("halt", "yes")
        with pytest.raises(LocalProtocolError, match="closed inside"):
            await store.close()
    assert await store.settings.get("halt") == "yes"
