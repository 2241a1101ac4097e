"""The report of a month says what there is, what is not as the general rules have it with who wanted it and why, and what ended."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

import pytest

from otagate.engine.patches import DevicePatch, PolicyPatch
from otagate.engine.views import OrderRequest
from otagate.model.errors import BadFilter
from otagate.model.facts import Fact
from otagate.model.ids import zigbee_device_id
from otagate.model.lifecycle import State
from otagate.model.versions import display_version
from otagate.policy.settings import PolicySettings
from otagate.reports.report import Month, Report
from otagate.reports.sheet import as_csv
from tests.engine.bench import Bench, Hub
from tests.engine.radio import NEW, NEWER, OLD, Lamp
from tests.virtual_time import instantly

IDS = [zigbee_device_id(number) for number in range(1, 5)]
PLAIN, PINNED, SKIPS, NEVER = IDS
FINAL = {each.value for each in State if each.final}


def this_month(hub: Hub) -> Month:
    now = hub.clock.now().astimezone()
    return Month(year=now.year, month=now.month)


async def made(hub: Hub) -> Report:
    return await hub.reporter.report(this_month(hub))


@instantly
async def test_a_report_tells_of_every_device_exception_and_update_of_the_month() -> None:
    bench = Bench(lamps={each: Lamp(id=each) for each in IDS}, policies={SKIPS: PolicySettings(mode="never")})
    async with bench.hub() as hub:
        await hub.until(lambda: len(hub.registry.devices()) == len(IDS) and all(each.components for each in hub.registry.devices()))
        assert {each.standing for each in (await made(hub)).items} == {"unlisted"}
        image = await hub.add_image(NEW)
        await hub.desk.amend(PINNED, DevicePatch(pin=OLD, because="the app needs it"), actor="token:anna")
        await hub.desk.amend(PINNED, DevicePatch(room="Hall"), actor="token:ben")
        await hub.desk.amend(SKIPS, DevicePatch(skipped=(NEW,)), actor="uid:1000")
        await hub.desk.amend(NEVER, DevicePatch(policy=PolicyPatch(default="never"), because="by contract"), actor="token:anna")
        request = OrderRequest(devices=(PLAIN,), override=("battery_low",), because="on the charger")
        update = (await hub.desk.order(request, actor="token:anna")).updates[0].update
        await hub.until_ended(update.id)
        report = await made(hub)
        assert {each.device: each.standing for each in report.items} == {PLAIN: "current", PINNED: "behind", SKIPS: "behind", NEVER: "behind"}
        assert report.share == 0.25
        whys = {each.device: each.why for each in report.items}
        assert "is pinned to 0x00000001" in whys[PINNED]
        assert "is to be skipped" in whys[SKIPS]
        proven = {each.device: each.image for each in report.items}
        assert (proven[PLAIN], proven[PINNED]) == (update.image, "")
        assert image == update.image
        told = {(each.kind, each.device): (each.what, each.reason, each.by) for each in report.exemptions}
        assert told == {
            ("pin", PINNED): ("only 0x00000001", "the app needs it", "token:anna"),
            ("skip", SKIPS): ("0x00000002", "", "uid:1000"),
            ("never", SKIPS): ("default never", "a rule or the default says so", "the configuration"),
            ("never", NEVER): ("default never", "by contract", "token:anna"),
            ("override", PLAIN): ("battery_low: 0x1409 to 0x00000002", "on the charger", "token:anna"),
        }
        (attempt,) = report.attempts
        assert (attempt.result, attempt.retries, attempt.image, attempt.ordered_by) == ("succeeded", 0, update.image, "token:anna")
        assert attempt.seconds is not None
        assert attempt.seconds > 60
        chain = await hub.desk.verify_chain()
        assert (report.journal.last, report.journal.chain) == (chain.last, chain.chain)


@instantly
async def test_an_image_that_failed_on_several_devices_and_what_failed_are_told_in_words() -> None:
    bench = Bench(lamps={each: Lamp(id=each, goes="rejects") for each in IDS[:3]})
    async with bench.hub() as hub:
        await hub.until(lambda: len(hub.registry.devices()) == 3 and all(each.components for each in hub.registry.devices()))
        await hub.add_image(NEW)
        for each in IDS[:2]:
            await hub.until_ended((await hub.order(each)).update.id)
        report = await made(hub)
        quarantines = [each for each in report.exemptions if each.kind == "quarantined"]
        assert {each.device for each in quarantines} == {"", *IDS[:3]}
        assert all("failed on 2 devices here" in each.reason for each in quarantines)
        assert {each.result for each in report.attempts} == {"failed"}
        assert all("(image-rejected-by-device)" in each.failure for each in report.attempts)


@instantly
async def test_a_report_is_of_its_month_alone_and_none_is_of_one_to_come() -> None:
    async with Bench().hub() as hub:
        await hub.ready()
        await hub.add_image(NEWER)
        await hub.until_ended((await hub.order(next(iter(hub.bench.lamps)))).update.id)
        month = this_month(hub)
        assert len((await hub.reporter.report(month)).attempts) == 1
        before = Month(year=month.year - 1, month=month.month)
        assert (await hub.reporter.report(before)).attempts == []
        with pytest.raises(BadFilter, match="has not begun: it begins on"):
            await hub.reporter.report(month.following)


def said_of_updates(report: str) -> dict[str, tuple[str, ...]]:
    """What the CSV of a report says of each update that ended: how, in which fact, with which image, from and to which version."""
    rows = csv.DictReader(io.StringIO(report))
    told = ("device", "result", "fact", "image", "from_version", "to_version")
    return {row["update"]: tuple(row[each] for each in told) for row in rows if row["record"] == "update"}


def told_by(facts: Sequence[Fact]) -> dict[str, tuple[str, ...]]:
    """The same, counted from the lines of the journal alone."""
    made = {each.subject_id: each for each in facts if each.subject == "update" and each.kind == "created"}
    ended = {}
    for fact in facts:
        state = fact.data.get("state")
        if fact.subject == "update" and state in FINAL:
            images = [str(each.data["image"]) for each in facts if each.subject_id == fact.subject_id and each.data.get("image")]
            versions = [display_version(int(str(made[fact.subject_id].data[each]))) for each in ("from_version", "to_version")]
            ended[fact.subject_id] = (str(fact.data["device"]), str(state), str(fact.number), images[-1] if images else "", *versions)
    return ended


@instantly
async def test_the_numbers_of_a_report_are_those_of_the_journal() -> None:
    good, bad, unwanted, waiting = IDS
    bench = Bench(lamps={good: Lamp(id=good), bad: Lamp(id=bad, goes="rejects"), unwanted: Lamp(id=unwanted), waiting: Lamp(id=waiting)}, parallel=1)
    async with bench.hub() as hub:
        await hub.until(lambda: len(hub.registry.devices()) == len(IDS) and all(each.components for each in hub.registry.devices()))
        await hub.add_image(NEW)
        orders = {each: (await hub.order(each)).update.id for each in (good, bad, unwanted)}
        await hub.desk.cancel(orders[unwanted], actor="token:anna")
        for each in orders.values():
            await hub.until_ended(each)
        await hub.add_image(NEWER)
        orders[waiting] = (await hub.order(good)).update.id
        await hub.until_ended(orders[waiting])
        facts = await hub.store.facts.after(0, limit=10_000)
        report = await made(hub)
        said = said_of_updates(as_csv(report, "the key"))
        assert said == told_by(facts)
        assert sorted(each[1] for each in said.values()) == ["cancelled", "failed", "succeeded", "succeeded"]
        assert "4 updates ended in the month: 2 succeeded, 1 failed, 1 were cancelled" in report.summary[2]
        versions = {device.id: device.components[0].version for device in hub.registry.devices()}
        assert report.share == sum(each == NEWER for each in versions.values()) / len(versions)
