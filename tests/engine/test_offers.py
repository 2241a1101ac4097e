"""What update services offer, from the question to the lamp that runs it; and services that are away, wrong, or contradict each other."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from otagate.engine.offers import ServiceFeed
from otagate.engine.talks import Talks
from otagate.engine.views import OrderRequest
from otagate.folders.local_files import LocalFiles
from otagate.model.devices import Component, Device, ZwaveNode
from otagate.model.errors import FileGone, SourceBusy, SourceError, SourceMisconfigured, SourceRefused, SourceUnavailable
from otagate.model.ids import DeviceId, zigbee_device_id, zwave_component_id
from otagate.model.lifecycle import State
from otagate.sources.effects import Conversation, Limit, Service
from otagate.sources.index import KINDS, Index
from otagate.sources.ledvance import Ledvance
from otagate.sources.source import Findings, Question, ZigbeeQuestion
from otagate.sources.zwave_js import ZwaveJs
from tests.engine.bench import Bench, Hub, image_bytes
from tests.engine.radio import IMAGE_TYPE, LAMP, MAKER, NEW, NEWER, OLD, Lamp
from tests.engine.test_metrics import metrics
from tests.virtual_time import instantly

INDEX = "https://example.org/index.json"
FILE = "https://example.org/new.ota"
LEDVANCE = "https://ledvance.example/v1/zigbee"


def index(name: str = "index", url: str = INDEX) -> Index:
    return Index(kind=KINDS["z2m-index"], url=url, name=name)


def entry(data: bytes, version: int = NEW, url: str = FILE, **more: Any) -> dict[str, Any]:
    return {
        "fileName": "new.ota",
        "fileVersion": version,
        "fileSize": len(data),
        "url": url,
        "imageType": IMAGE_TYPE,
        "manufacturerCode": MAKER,
        "sha512": hashlib.sha512(data).hexdigest(),
    } | more


def offering(data: bytes | None = None, **more: Any) -> Bench:
    data = image_bytes(NEW) if data is None else data
    bench = Bench(sources=[index()], **more)
    bench.services.documents[INDEX] = [entry(data)]
    bench.services.files[FILE] = data
    return bench


async def told(hub: Hub, name: str = "index") -> None:
    await hub.ready()
    await hub.desk.refresh(name, actor="test")


async def order(hub: Hub) -> str:
    result = await hub.desk.order(OrderRequest(devices=(LAMP,)), actor="anna")
    assert not result.refused
    return result.updates[0].update.id


@instantly
async def test_a_lamp_gets_what_a_service_offers() -> None:
    bench = offering()
    async with bench.hub() as hub:
        await told(hub)
        update = await order(hub)
        assert (await hub.until_ended(update)).state is State.SUCCEEDED
        assert bench.lamp.version == NEW
    row = (await bench.rows())[0]
    assert row.image == hashlib.sha256(image_bytes(NEW)).hexdigest()
    assert [each.url for each in bench.services.asked] == [INDEX, FILE]


@instantly
async def test_what_is_offered_is_shown_before_anything_is_fetched() -> None:
    bench = offering()
    async with bench.hub() as hub:
        await told(hub)
        view = next(iter(await hub.desk.sources()))
        assert (view.state, view.releases) == ("ok", 1)
        choice = (hub.consultant.offers(hub.registry.device(LAMP)))[0][1]
        assert choice.chosen is not None
        assert choice.chosen.file_version == NEW
        assert [each.url for each in bench.services.asked] == [INDEX]


@instantly
async def test_a_file_is_fetched_once_for_all_who_want_it() -> None:
    lamps = {each: Lamp(id=each) for each in (zigbee_device_id(number) for number in range(1, 6))}
    bench = offering(lamps=lamps, parallel=5)
    async with bench.hub() as hub:
        await told(hub)
        result = await hub.desk.order(OrderRequest(devices=tuple(lamps)), actor="anna")
        for each in result.updates:
            assert (await hub.until_ended(each.update.id)).state is State.SUCCEEDED
    assert [each.url for each in bench.services.asked].count(FILE) == 1


@instantly
async def test_a_service_that_is_away_costs_no_attempt_and_the_update_goes_on_when_it_is_back() -> None:
    bench = offering()
    file, bench.services.files[FILE] = bench.services.files[FILE], SourceUnavailable("index: the file: no connection")
    async with bench.hub() as hub:
        await told(hub)
        update = await order(hub)
        await hub.pass_time(seconds=6 * 3600 + 100)
        row = (await bench.rows())[0]
        assert (row.state, row.reason, row.attempts) == (State.QUEUED, "source_unreachable", 0)
        bench.services.files[FILE] = file
        assert (await hub.until_ended(update)).state is State.SUCCEEDED


@instantly
async def test_a_period_that_is_over_while_the_news_of_a_device_is_gathered_is_not_lost() -> None:
    async with offering().hub() as hub:
        await told(hub)  # the lamp was just found, and is asked about in a moment
        asked = len(hub.bench.services.asked)
        hub.refresher.post_due("index")
        await hub.until(lambda: len(hub.bench.services.asked) > asked, within=60.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding(Index):
    """An index whose answer holds for an hour, as it says itself."""

    def consult(self, questions: Sequence[Question]) -> Conversation[Findings]:
        found = yield from Index.consult(self, questions)
        return replace(found, fresh_for=timedelta(hours=1))


class ForAll(Ledvance):
    """The service, were it one for every maker."""

    def concerns(self, question: Question) -> bool:
        return isinstance(question, ZigbeeQuestion)


@instantly
async def test_a_service_that_wants_checks_apart_is_not_asked_sooner_and_its_answer_of_before_is_told_with_the_time() -> None:
    bench = Bench(sources=[ForAll(url=LEDVANCE)])
    bench.services.documents |= {f"{LEDVANCE}/difference": {}, f"{LEDVANCE}/firmwares": {"firmwares": []}}
    async with bench.hub() as hub:
        await told(hub, "ledvance")
        asked = len(bench.services.asked)
        assert asked, "the first is heeded, right after the start as well"
        await hub.pass_time(minutes=4)
        view = await hub.desk.refresh("ledvance", actor="anna")
        until = view.sentence.rpartition("refreshed again from ")[2]
        assert (view.state, view.error, len(bench.services.asked)) == ("ok", None, asked)
        assert [each.sentence for each in await hub.desk.sources()] == [view.sentence], "told to whoever looks"
        await hub.pass_time(minutes=6)
        assert "refreshed again" not in (await hub.desk.sources())[0].sentence
        assert until == f"{hub.clock.now():%Y-%m-%d %H:%M}:{until[17:19]} UTC on"
        view = await hub.desk.refresh("ledvance", actor="anna")
        assert len(bench.services.asked) > asked
        assert "refreshed again" not in view.sentence


@instantly
async def test_an_operator_is_heeded_at_once_where_the_last_check_failed() -> None:
    bench = Bench(sources=[ForAll(url=LEDVANCE)])
    async with bench.hub() as hub:
        await told(hub, "ledvance")
        asked = len(bench.services.asked)
        bench.services.documents |= {f"{LEDVANCE}/difference": {}, f"{LEDVANCE}/firmwares": {"firmwares": []}}
        assert (await hub.desk.refresh("ledvance", actor="anna")).state == "ok"
        assert len(bench.services.asked) > asked


@instantly
async def test_an_index_that_was_read_before_a_device_was_known_serves_it_as_soon_as_it_is() -> None:
    with TemporaryDirectory() as folder:
        data, path = image_bytes(NEW), Path(folder) / "index.json"
        path.write_text(json.dumps([entry(data, url="new.ota")]))
        bench = Bench(sources=[index(url=path.as_uri())])
        async with bench.hub() as hub:
            talks = Talks(LocalFiles(folder=path.parent, http=bench.services, cache=bench.cache, clock=hub.clock))
            feed = hub.offers.feed("index")
            assert isinstance(feed, ServiceFeed)
            feed.talks = talks
            await hub.desk.refresh("index", actor="test")
            assert not hub.registry.devices()
            await hub.ready()
            await hub.until(lambda: any(choice.chosen for _, choice in hub.consultant.offers(hub.registry.device(LAMP))), within=30)


@instantly
async def test_a_service_is_not_asked_when_its_time_has_come_while_its_answer_holds() -> None:
    bench = offering()
    bench.sources = [Holding(kind=KINDS["z2m-index"], url=INDEX, name="index")]
    async with bench.hub() as hub:
        hub.refresher.every["index"] = timedelta(minutes=30)
        await told(hub)
        for minutes, asked in ((30, 1), (25, 2)):
            await hub.pass_time(minutes=minutes)
            hub.refresher.post_due("index")
            await hub.pass_time(seconds=10)
            assert len(bench.services.asked) == asked
        bench.services.documents[INDEX] = SourceUnavailable("index: no connection")
        await hub.desk.refresh("index", actor="test")
        hub.refresher.post_due("index")
        await hub.pass_time(seconds=10)
        assert len(bench.services.asked) == 4, "an operator is heeded at once, and what failed is asked again"


@instantly
async def test_what_needs_a_source_that_must_be_mended_waits_without_a_line_and_begins_when_it_is() -> None:
    bench = offering()
    async with bench.hub() as hub:
        await told(hub)
        documents = dict(bench.services.documents)
        bench.services.documents[INDEX] = SourceMisconfigured("index: the index: no such key: check api_key_file")
        await hub.desk.refresh("index", actor="test")
        update = await order(hub)
        await hub.pass_time(hours=24)
        assert hub.kinds(update) == ["created", "waits"]
        assert "check api_key_file" in ((await hub.desk.update(update)).sentence or "")
        (planned,) = (await hub.desk.plan(LAMP)).components
        assert planned.when is not None
        assert (planned.when.kind, "check api_key_file" in planned.when.sentence) == ("unknown", True)
        bench.services.documents = documents
        await hub.desk.refresh("index", actor="test")
        assert (await hub.until_ended(update)).state is State.SUCCEEDED


@instantly
async def test_what_is_here_already_needs_no_source() -> None:
    first, second = zigbee_device_id(1), zigbee_device_id(2)
    bench = offering(lamps={each: Lamp(id=each) for each in (first, second)})
    async with bench.hub() as hub:
        await told(hub)
        await hub.until_ended((await hub.order(first)).update.id)
        bench.services.documents[INDEX] = SourceMisconfigured("index: the index: no such key: check api_key_file")
        await hub.desk.refresh("index", actor="test")
        assert (await hub.until_ended((await hub.order(second)).update.id)).state is State.SUCCEEDED


@instantly
async def test_a_spent_quota_is_waited_for_until_the_service_said() -> None:
    bench = offering()
    async with bench.hub() as hub:
        await told(hub)
        until = hub.clock.now() + timedelta(hours=2)
        bench.services.files[FILE] = SourceBusy("index: the file: not to be asked again", until=until)
        await order(hub)
        await hub.pass_time(seconds=3600)
        row = (await bench.rows())[0]
        assert (row.reason, row.not_before) == ("quota", until)


@instantly
async def test_a_file_that_is_not_the_promised_one_is_tried_again_after_hours_and_then_given_up() -> None:
    bench = offering(retries=2)
    bench.services.files[FILE] = SourceRefused("index: the file's sha512 is another one")
    async with bench.hub() as hub:
        await told(hub)
        update = await order(hub)
        await hub.pass_time(seconds=3600)
        assert [each.url for each in bench.services.asked].count(FILE) == 1
        await hub.pass_time(seconds=24 * 3600)
        ended = await hub.until_ended(update)
        assert ended.state is State.FAILED
        assert ended.error is not None
        assert "sha512" in ended.error.detail
    assert [each.url for each in bench.services.asked].count(FILE) == 3


@instantly
@pytest.mark.parametrize(
    ("data", "code"),
    [(image_bytes(NEWER), "incompatible-image"), (image_bytes(NEW, image_type=9), "incompatible-image"), (b"no image at all", "image-corrupt")],
    ids=["another version", "another type", "no image"],
)
async def test_a_file_that_is_another_image_than_the_index_says_is_rejected_and_never_sent(data: bytes, code: str) -> None:
    bench = offering(data)
    async with bench.hub() as hub:
        await told(hub)
        ended = await hub.until_ended(await order(hub))
        assert ended.error is not None
        assert (ended.state, ended.error.code) == (State.FAILED, code)
    assert bench.lamp.downloads == 0


@instantly
async def test_a_file_without_a_digest_that_came_spoilt_is_fetched_again_before_the_update_fails() -> None:
    sonoff = {"fw_manufacturer_id": MAKER, "fw_image_type": IMAGE_TYPE, "fw_file_version": NEW, "fw_filesize": 1, "fw_binary_url": FILE}
    kind = replace(KINDS["sonoff"], manufacturer_codes=frozenset())
    bench = Bench(sources=[Index(kind=kind, url=INDEX, name="index")])
    bench.services.documents[INDEX] = [sonoff | {"fw_filesize": len(image_bytes(NEW))}]
    bench.services.files[FILE] = image_bytes(NEW)[:500]
    async with bench.hub() as hub:
        await told(hub)
        update = await order(hub)
        await hub.pass_time(hours=1)
        row = (await bench.rows())[0]
        assert (row.state, row.attempts) == (State.QUEUED, 1)
        bench.services.files[FILE] = image_bytes(NEW)
        assert (await hub.until_ended(update, within=24 * 3600)).state is State.SUCCEEDED


@instantly
async def test_a_hub_that_dies_while_it_fetches_fetches_again() -> None:
    bench = offering()
    bench.services.files[FILE] = SourceUnavailable("index: the file: no connection")
    async with bench.hub() as hub:
        await told(hub)
        update = await order(hub)
    bench.services.files[FILE] = image_bytes(NEW)
    async with bench.hub() as hub:
        assert (await hub.until_ended(update)).state is State.SUCCEEDED


@instantly
async def test_the_last_good_answer_serves_for_a_day_and_is_told_to_be_old() -> None:
    bench = offering()
    async with bench.hub() as hub:
        await told(hub)
        bench.services.documents[INDEX] = SourceUnavailable("index: the index: no connection")
        view = await hub.desk.refresh("index", actor="test")
        assert (view.state, view.releases) == ("degraded", 1)
        assert "serves on" in view.sentence
        await hub.pass_time(seconds=25 * 3600)
        view = await hub.desk.refresh("index", actor="test")
        assert view.releases == 0
        assert (hub.consultant.offers(hub.registry.device(LAMP)))[0][1].chosen is None


@instantly
async def test_a_service_is_asked_about_a_device_that_joins_later_and_about_nobody_twice() -> None:
    bench = Bench(sources=[Ledvance(url=LEDVANCE)], lamps={LAMP: Lamp()})
    bench.services.documents[f"{LEDVANCE}/difference"] = []
    source = bench.sources[0]
    async with bench.hub() as hub:
        await told(hub, "ledvance")
        assert not bench.services.asked
        assert next(iter(await hub.desk.sources())).sentence == "not asked: no device here concerns it"
        assert source.name == "ledvance"


@instantly
async def test_sources_that_contradict_each_other_are_quarantined_until_an_operator_decides() -> None:
    data, other = image_bytes(NEW), image_bytes(NEW, seed=7)
    second = "https://elsewhere.example/index.json"
    bench = Bench(sources=[index(), index("other", second)])
    bench.services.documents |= {INDEX: [entry(data)], second: [entry(other)]}
    async with bench.hub() as hub:
        await told(hub)
        await hub.desk.refresh("other", actor="test")
        await hub.pass_time(seconds=60)
        choice = (hub.consultant.offers(hub.registry.device(LAMP)))[0][1]
        assert choice.chosen is None
        assert choice.verdict.reason == "quarantined"
        assert all(hashlib.sha512(each).hexdigest()[:16] in choice.verdict.sentence for each in (data, other))
        assert choice.verdict.sentence.endswith("(otagate images add FILE) and order it by its sha256.")
    assert not await bench.rows()


@pytest.mark.parametrize(("waited", "reads"), [(900, 2), (1, 1)])
@instantly
async def test_a_service_that_has_a_file_no_more_is_read_anew_unless_it_was_just_read(waited: float, reads: int) -> None:
    bench = offering()
    bench.services.files[FILE] = FileGone("index: the file: no such file any more")
    async with bench.hub() as hub:
        await told(hub)
        await hub.pass_time(seconds=waited)
        await order(hub)
        await hub.pass_time(seconds=60)
        assert [each.url for each in bench.services.asked] == [INDEX, FILE, INDEX][: reads + 1]


@instantly
async def test_one_failing_service_delays_no_other() -> None:
    second = "https://elsewhere.example/index.json"
    bench = Bench(sources=[index("other", second), index()], mode="automatic")
    bench.services.documents |= {INDEX: [entry(image_bytes(NEW))], second: SourceError("other: broken")}
    bench.services.files[FILE] = image_bytes(NEW)
    async with bench.hub() as hub:
        await hub.ready()
        await hub.until(lambda: bench.lamp.version == NEW, within=3600)
        states = {each.name: each.state for each in await hub.desk.sources()}
        assert states == {"other": "degraded", "index": "ok"}


@instantly
async def test_a_service_that_never_answers_delays_no_other() -> None:
    second = "https://elsewhere.example/index.json"
    bench = Bench(sources=[index("other", second), index()], mode="automatic")
    bench.services.hangs = frozenset({second})
    bench.services.documents[INDEX] = [entry(image_bytes(NEW))]
    bench.services.files[FILE] = image_bytes(NEW)
    async with bench.hub() as hub:
        await hub.ready()
        await hub.until(lambda: bench.lamp.version == NEW, within=3600)
        assert second in [each.url for each in bench.services.asked]
        assert {each.name: each.releases for each in await hub.desk.sources()} == {"other": 0, "index": 1}


@instantly
async def test_a_chain_of_images_is_climbed_step_by_step_each_taken_where_its_bounds_fit_what_runs() -> None:
    """As zigbee2mqtt's index means it: a step may want a version at least, another one at most."""
    middle, last, aside = NEW + 1, NEW + 2, NEW + 3
    bench = Bench(sources=[index()], mode="automatic")
    listed = {NEW: {"maxFileVersion": NEW - 1}, middle: {"minFileVersion": NEW, "maxFileVersion": NEW}, last: {"minFileVersion": middle}}
    listed[aside] = {"maxFileVersion": NEW - 2}
    bench.services.documents[INDEX] = [entry(image_bytes(each), each, f"https://e.org/{each}.ota", **more) for each, more in listed.items()]
    bench.services.files = {f"https://e.org/{each}.ota": image_bytes(each) for each in listed}
    async with bench.hub() as hub:
        await hub.ready()
        await hub.until(lambda: bench.lamp.version == last, within=6 * 3600)
        await hub.pass_time(hours=12)
    assert [(each.from_version, each.to_version) for each in await bench.rows()] == [(OLD, NEW), (NEW, middle), (middle, last)]


@instantly
async def test_an_entry_for_some_hardware_has_the_device_asked_for_its_own() -> None:
    bench = offering(lamps={LAMP: Lamp(hardware=9)})
    bench.services.documents[INDEX] = [entry(image_bytes(NEW), hardwareVersionMin=2, hardwareVersionMax=4)]
    async with bench.hub() as hub:
        await told(hub)
        await hub.until(lambda: hub.registry.device(LAMP).components[0].hardware_version == 9, within=60)
        (offer,) = await hub.desk.offers(LAMP)
        assert offer.verdict.code == "incompatible-image"


@instantly
async def test_an_entry_for_another_model_is_shown_and_refused() -> None:
    bench = offering()
    bench.services.documents[INDEX] = [entry(image_bytes(NEW), modelId="another", manufacturerName=["somebody"])]
    async with bench.hub() as hub:
        await told(hub)
        (offer,) = await hub.desk.offers(LAMP)
        assert (offer.verdict.decision, "another" in offer.verdict.sentence) == ("refuse", True)


OTHER, OTHERS_FILE = zigbee_device_id(2), "https://example.org/other.ota"


def of_two_models(*, second: str | None = "Lamp 2", **more: Any) -> Bench:
    """An index with two files of one version and image type, each for a model of its own, and a lamp of each."""
    mine, others = image_bytes(NEW, seed=1), image_bytes(NEW, seed=2)
    bench = Bench(sources=[index()], lamps={LAMP: Lamp(), OTHER: Lamp(id=OTHER, model=second)}, **more)
    bench.services.documents[INDEX] = [entry(mine, modelId="Lamp 1"), entry(others, modelId="Lamp 2", url=OTHERS_FILE)]
    bench.services.files |= {FILE: mine, OTHERS_FILE: others}
    return bench


@instantly
async def test_of_two_files_of_one_version_each_model_gets_its_own_though_the_other_is_here_already() -> None:
    async with of_two_models().hub() as hub:
        await told(hub)
        for device, seed in ((LAMP, 1), (OTHER, 2)):
            made = (await hub.desk.order(OrderRequest(devices=(device,)), actor="anna")).updates[0].update
            done = await hub.until_ended(made.id)
            assert (done.state, done.image) == (State.SUCCEEDED, hashlib.sha256(image_bytes(NEW, seed=seed)).hexdigest())
        assert [each.url for each in hub.bench.services.asked] == [INDEX, FILE, OTHERS_FILE]


@instantly
async def test_a_file_that_was_fetched_for_one_model_is_offered_to_no_other_when_its_source_is_silent() -> None:
    bench = of_two_models()
    async with bench.hub() as hub:
        await told(hub)
        await hub.until_ended(await order(hub))
        bench.services.documents[INDEX] = [entry(image_bytes(NEW, seed=1), modelId="Lamp 1")]
        await hub.desk.refresh("index", actor="test")
        (refused,) = (await hub.desk.order(OrderRequest(devices=(OTHER,)), actor="anna")).refused
        assert (refused.error.code, refused.reason) == ("incompatible-image", "image_mismatch")


@instantly
async def test_a_device_that_tells_no_model_is_given_neither_of_two_files_and_both_are_named() -> None:
    async with of_two_models(second=None).hub() as hub:
        await told(hub)
        (refused,) = (await hub.desk.order(OrderRequest(devices=(OTHER,)), actor="anna")).refused
        assert refused.reason == "ambiguous"
        assert "for model 'Lamp 1'" in str(refused.error)
        assert "for model 'Lamp 2'" in str(refused.error)


@instantly
async def test_one_file_that_is_offered_for_two_models_is_fetched_again_but_kept_once_and_serves_both() -> None:
    bench = of_two_models()
    same = image_bytes(NEW, seed=1)
    bench.services.documents[INDEX][1] = entry(same, modelId="Lamp 2", url=OTHERS_FILE)
    bench.services.files[OTHERS_FILE] = same
    async with bench.hub() as hub:
        await told(hub)
        for device in (LAMP, OTHER):
            made = (await hub.desk.order(OrderRequest(devices=(device,)), actor="anna")).updates[0].update
            assert (await hub.until_ended(made.id)).state is State.SUCCEEDED
        (image,) = await hub.desk.images()
        assert image.models == ("Lamp 1", "Lamp 2")


@instantly
async def test_what_is_wrong_with_an_index_is_named_to_the_operator_and_the_rest_serves() -> None:
    bench = offering()
    bench.services.documents[INDEX] += [entry(image_bytes(NEW)) | {"imageType": "lamp", "url": f"https://e.org/x/{n}.ota"} for n in range(150)]
    async with bench.hub() as hub:
        await told(hub)
        (view,) = await hub.desk.sources()
        assert (view.state, view.releases, view.left_out, len(view.skipped)) == ("ok", 1, 150, 100)
        assert (view.skipped[0].what, view.skipped[0].why) == ("entry 2 (new.ota)", "imageType is no whole number")
        assert "entry 2 (new.ota): imageType is no whole number" in view.sentence


@instantly
async def test_a_source_tells_how_it_fares_and_what_may_still_be_asked_of_it() -> None:
    bench = offering()
    service = Service(name="index", limits=(Limit(amount=24, per=timedelta(seconds=60)), Limit(amount=900, per=timedelta(days=30), of="bytes")))
    object.__setattr__(bench.sources[0], "service", service)
    async with bench.hub() as hub:
        hub.refresher.every["index"] = timedelta(hours=24)
        await told(hub)
        (view,) = await hub.desk.sources()
        assert view.calls_left == 24 - len(bench.services.asked)
        assert view.next_refresh == hub.clock.now() + timedelta(hours=24)
        now = metrics(hub)
        assert now['otagate_source_state{source="index",state="ok",type="service"}'] == 1
        assert now['otagate_source_releases{source="index",type="service"}'] == 1
        assert now['otagate_source_last_success_timestamp_seconds{source="index",type="service"}'] == hub.clock.now().timestamp()
        assert now['otagate_source_quota_left{bucket="",of="calls",seconds="60",source="index",type="service"}'] == view.calls_left
        bench.services.asked *= 900  # every byte of the month, as these services count
        (view,) = await hub.desk.sources()
        assert view.calls_left == 0
        bench.services.documents[INDEX] = SourceUnavailable("index: no connection")
        await hub.desk.refresh("index", actor="test")
        (view,) = await hub.desk.sources()
        assert (view.state, view.failures, view.next_refresh) == ("degraded", 1, hub.clock.now() + timedelta(minutes=1))
        now = metrics(hub)
        assert now['otagate_source_failures{source="index",type="service"}'] == 1
        assert now['otagate_source_state{source="index",state="degraded",type="service"}'] == 1


@instantly
async def test_a_misconfigured_source_says_what_to_do_and_is_not_asked_again_until_an_operator_asks() -> None:
    bench = offering()
    async with bench.hub() as hub:
        await hub.ready()
        document = bench.services.documents[INDEX]
        bench.services.documents[INDEX] = SourceMisconfigured("index: the service does not take the key: check api_key_file")
        hub.refresher.post("index")
        await hub.until(lambda: bench.services.asked)
        for _ in range(5):
            hub.refresher.post("index")
            await hub.pass_time(hours=24)
        assert len(bench.services.asked) == 1
        (view,) = await hub.desk.sources()
        assert (view.state, view.next_refresh) == ("misconfigured", None)
        assert "check api_key_file" in view.sentence
        assert "operator refreshes it" in view.sentence
        bench.services.documents[INDEX] = document
        assert (await hub.desk.refresh("index", actor="anna")).state == "ok"


@instantly
async def test_what_waits_for_a_file_of_a_misconfigured_source_asks_nothing_of_it_until_it_is_mended() -> None:
    bench = offering()
    async with bench.hub() as hub:
        await told(hub)
        document = bench.services.documents[INDEX]
        bench.services.documents[INDEX] = SourceMisconfigured("index: the service does not take the key: check api_key_file")
        await hub.desk.refresh("index", actor="anna")
        asked = len(bench.services.asked)
        update = await order(hub)
        await hub.pass_time(minutes=123)
        assert len(bench.services.asked) == asked
        (row,) = await bench.rows()
        assert (row.attempts, row.reason) == (0, "source_unreachable")
        bench.services.documents[INDEX] = document
        await hub.desk.refresh("index", actor="anna")
        assert (await hub.until_ended(update)).state is State.SUCCEEDED


@instantly
async def test_the_last_answer_of_a_misconfigured_source_serves_a_day_and_no_longer_though_nobody_asks_again() -> None:
    bench = offering()
    async with bench.hub() as hub:
        await told(hub)
        bench.services.documents[INDEX] = SourceMisconfigured("index: the service does not take the key: check api_key_file")
        await hub.desk.refresh("index", actor="anna")
        await hub.pass_time(hours=23)
        assert len(await hub.desk.offers(LAMP)) == 1
        await hub.pass_time(hours=2)
        assert not await hub.desk.offers(LAMP)


@instantly
async def test_a_service_that_could_not_be_reached_at_the_start_is_asked_again_long_before_its_period_ends() -> None:
    bench = offering()
    document, bench.services.documents[INDEX] = bench.services.documents[INDEX], SourceUnavailable("index: no connection")
    async with bench.hub() as hub:
        await hub.ready()
        hub.refresher.post("index")
        await hub.pass_time(hours=12)
        assert 10 <= len(bench.services.asked) <= 25  # an hour between two questions, at most
        bench.services.documents[INDEX] = document
        await hub.until(lambda: hub.consultant.offers(hub.registry.device(LAMP))[0][1].chosen, within=3_700)
        asked = len(bench.services.asked)
        await hub.pass_time(hours=5)
        assert len(bench.services.asked) == asked  # and then only when it is due


@instantly
async def test_a_service_that_wants_to_be_left_alone_is_asked_when_that_is_over_and_not_before() -> None:
    bench = offering()
    async with bench.hub() as hub:
        await hub.ready()
        document = bench.services.documents[INDEX]
        bench.services.documents[INDEX] = SourceBusy("index: asked enough", until=hub.clock.now() + timedelta(minutes=90))
        hub.refresher.post("index")
        await hub.pass_time(minutes=5)
        bench.services.documents[INDEX] = document
        for _ in range(16):
            hub.refresher.post("index")
            await hub.pass_time(minutes=5)
        assert len(bench.services.asked) == 1
        await hub.until(lambda: hub.consultant.offers(hub.registry.device(LAMP))[0][1].chosen, within=400)


@instantly
async def test_what_a_service_newly_offers_is_decided_on_though_the_journal_cannot_be_written() -> None:
    bench = offering(mode="automatic")
    async with bench.hub() as hub:
        await hub.ready()
        hub.store.full = True
        hub.refresher.post("index")
        await hub.until(lambda: bench.services.asked)
        await hub.pass_time(seconds=30)
        hub.store.full = False
        await hub.until(lambda: hub.states, within=10)


@instantly
async def test_an_update_whose_file_never_came_can_be_tried_again() -> None:
    bench = offering(retries=0)
    file, bench.services.files[FILE] = bench.services.files[FILE], SourceRefused("index: the file: 404")
    async with bench.hub() as hub:
        await told(hub)
        failed = await hub.until_ended(await order(hub))
        assert (failed.state, failed.image) == (State.FAILED, None)
        bench.services.files[FILE] = file
        again = await hub.desk.retry(failed.id, actor="anna")
        assert (await hub.until_ended(again.update.id)).state is State.SUCCEEDED


@instantly
async def test_what_a_service_hides_for_want_of_a_region_is_told_with_what_mends_it() -> None:
    url = "https://zwave.example"
    bench = Bench(sources=[ZwaveJs(url=url)])
    bench.services.documents[f"{url}/api/v4/updates"] = []
    async with bench.hub() as hub:
        await hub.ready()
        node = ZwaveNode(product_type=1, product_id=2, region=None)
        target = Component(id=zwave_component_id(0), version="1.0")
        device = Device(id=DeviceId("zwave-c0ffee01-7"), radio=hub.radio.name, protocol="zwave", manufacturer_code=5, node=node, components=(target,))
        hub.registry._devices[device.id] = device
        view = await hub.desk.refresh("zwave-js", actor="test")
        assert "regional updates are hidden for 1 kind of node: set `region` of their radio" in view.sentence
        hub.registry._devices[device.id] = replace(device, node=replace(node, region="europe"))
        assert "hidden" not in (await hub.desk.refresh("zwave-js", actor="test")).sentence
