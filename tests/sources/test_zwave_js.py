"""The Z-Wave service: recorded answers of the real one in all versions, and what it might say besides."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otagate.model.errors import SourceError, SourceMisconfigured, SourceRefused, SourceUnintelligible
from otagate.sources.effects import Download, Effect, Response
from otagate.sources.source import ZwaveQuestion
from otagate.sources.zwave_js import Api, ZwaveJs, padded
from tests.formats.real_images import DATA
from tests.sources.talk import NOW, body_of, reply, stored, talk

VERSIONS: list[Api] = ["v1", "v2", "v3", "v4"]


def _question(version: str = "1.57", additional: Mapping[int, str] | None = None, region: str | None = None, product: int = 1) -> ZwaveQuestion:
    return ZwaveQuestion(
        manufacturer_id=0x031E,
        product_type=1,
        product_id=product,
        firmware_version=version,
        additional=tuple((additional or {}).items()),
        region=region,
    )


def _update(version: str = "1.61", **more: Any) -> dict[str, Any]:
    file = {"target": 0, "url": "https://example.org/a.gbl", "integrity": f"sha256:{'ab' * 32}"}
    return {
        "version": version,
        "changelog": "* new",
        "channel": "stable",
        "files": [file],
        "downgrade": False,
        "normalizedVersion": f"{version}.0",
    } | more


def _answer(*updates: Any, version: str = "1.57.0", **more: Any) -> dict[str, Any]:
    ids = {"manufacturerId": "0x031e", "productType": "0x0001", "productId": "0x0001", "firmwareVersion": version}
    return ids | {"updates": list(updates)} | more


@pytest.fixture(scope="module")
def samples() -> Any:
    path = DATA / "zwave-service" / "samples.json"
    if not path.is_file():
        pytest.skip("no recorded answers of the service: set OTAGATE_TEST_DATA")
    return json.loads(path.read_text())


def _asked(device: Mapping[str, Any], region: str | None = None) -> ZwaveQuestion:
    return ZwaveQuestion(
        manufacturer_id=int(device["manufacturerId"], 16),
        product_type=int(device["productType"], 16),
        product_id=int(device["productId"], 16),
        firmware_version=device["firmwareVersion"],
        additional=tuple((int(target), version) for target, version in device.get("additionalFirmwareVersions", {}).items()),
        region=region,
    )


def _recorded(sample: Mapping[str, Any]) -> Response:
    headers = {name.lower(): value for name, value in sample["headers"].items()}
    return Response(status=sample["status"], headers=headers, body=json.dumps(sample["body"]).encode(), at=NOW)


@pytest.mark.parametrize(
    ("key", "api", "region"), [*((each, each, None) for each in VERSIONS), ("v3_usa", "v3", "usa"), ("v3_europe", "v3", "europe")]
)
def test_every_recorded_question_is_asked_as_recorded_and_its_answer_understood(samples: Any, key: str, api: Api, region: str | None) -> None:
    for sample in samples["devices"]:
        asked = talk(ZwaveJs(api=api).consult([_asked(sample["device"], region)]), [_recorded(sample[key])])
        request, recorded = asked.requests[0], sample[key]["request"]
        assert request.url == f"https://firmware.zwave-js.io{recorded['path']}"
        assert body_of(request) == recorded["body"]
        updates = sample[key]["body"]
        if api == "v4":
            updates = updates[0]["updates"] if updates else []
        named = {(each["version"], file["target"], file["integrity"][7:]) for each in updates for file in each["files"]}
        found = [each.release for each in asked.result.offers]
        assert {(each.file_version or _bundled(each, updates), each.target, each.sha256) for each in found} <= named
        assert len({each.bundle for each in found}) == len({(each["version"], each.get("channel", "stable"), each.get("region")) for each in updates})
        assert asked.result.skipped == ()
        assert asked.result.fresh_for == timedelta(hours=1)


def _bundled(release: Any, updates: Any) -> Any:
    """The version of the update that a release of another target than 0 belongs to."""
    return next(each["version"] for each in updates for file in each["files"] if file["integrity"].endswith(release.sha256))


def _kind(question: Any) -> Any:
    return (question.manufacturer_id, question.product_type, question.product_id, padded(question.firmware_version))


def test_recorded_batches_are_matched_by_what_was_asked_and_not_by_their_order(samples: Any) -> None:
    for batch in samples["batch"]:
        body = batch["request"]["body"]
        questions = [_asked(device, body.get("region")) for device in body["devices"]]
        found = talk(ZwaveJs(api="v4").consult(questions), [_recorded(batch)]).result
        counted = sum(len(update["files"]) for device in batch["body"] for update in device["updates"])
        distinct = {(_kind(each.question), each.release.bundle, each.release.target) for each in found.offers}  # 1.6 and 1.6.0 are one kind
        assert len(distinct) == counted
        assert all(each.question in questions for each in found.offers)


def test_recorded_errors_are_told_with_their_field(samples: Any) -> None:
    words = []
    for sample in samples["errors"]:
        if sample["status"] != 400:
            continue
        with pytest.raises(SourceRefused) as caught:
            talk(ZwaveJs(api="v3").consult([_question()]), [_recorded(sample)])
        words.append(str(caught.value))
    assert any("region: Invalid enum value" in each for each in words)
    assert any("devices.0.firmwareVersion: Is not a valid firmware version" in each for each in words)


def test_several_files_are_one_bundle_in_the_order_of_installation() -> None:
    files = [{"target": target, "url": f"https://e.org/{target}", "integrity": f"sha256:{target:064x}"} for target in (1, 0)]
    offers = talk(ZwaveJs(api="v3").consult([_question()]), [reply([_update(files=files)])]).result.offers
    assert [(each.release.step, each.release.target, each.release.file_version) for each in offers] == [(1, 1, None), (2, 0, "1.61")]
    assert len({each.release.bundle for each in offers}) == 1


def test_a_batch_asks_about_each_kind_once_and_one_region_a_call() -> None:
    questions = [_question(), _question(), _question(additional={1: "1.45"}), _question(region="europe", version="1.05")]
    asked = talk(ZwaveJs(api="v4").consult(questions), [reply([]), reply([])])
    first, second = (body_of(each) for each in asked.requests)
    assert len(first["devices"]) == 2
    assert "region" not in first
    assert second["region"] == "europe"
    assert second["devices"][0]["firmwareVersion"] == "1.5"


def test_a_hundred_and_one_kinds_are_two_calls() -> None:
    asked = talk(ZwaveJs().consult([_question(product=number) for number in range(101)]), [reply([]), reply([])])
    assert [len(body_of(each)["devices"]) for each in asked.requests] == [100, 1]


def test_an_answer_is_matched_by_padded_version_and_small_letters() -> None:
    entry = _answer(_update()) | {"manufacturerId": "0x031E"}
    offers = talk(ZwaveJs().consult([_question("1.57")]), [reply([entry])]).result.offers
    assert [each.question for each in offers] == [_question("1.57")]


def test_nodes_that_differ_only_in_another_target_get_their_own_answers() -> None:
    one, other = _question(additional={1: "1.45"}), _question(additional={1: "1.44"})
    entries = [_answer(_update("1.61"), additionalFirmwareVersions={"1": "1.45"}), _answer(_update("1.60"), additionalFirmwareVersions={"1": "1.44"})]
    offers = talk(ZwaveJs().consult([one, other]), [reply(entries)]).result.offers
    assert {(each.question, each.release.file_version) for each in offers} == {(one, "1.61"), (other, "1.60")}


def test_where_the_service_has_no_batch_questions_are_asked_one_by_one_from_then_on() -> None:
    source = ZwaveJs()
    missing = reply({"status": 404, "error": "Not Found"}, status=404)
    asked = talk(source.consult([_question(region="usa"), _question(product=2, region="usa")]), [missing, reply([_update()]), reply([])])
    assert [each.url.rsplit("/", 2)[1] for each in asked.requests] == ["v4", "v3", "v3"]
    assert body_of(asked.requests[1])["region"] == "usa"
    assert len(asked.result.offers) == 1
    assert len(talk(source.consult([_question()]), [reply([])]).requests) == 1


def test_a_version_that_was_asked_for_by_name_is_not_exchanged() -> None:
    with pytest.raises(SourceRefused, match="404"):
        talk(ZwaveJs(api="v4").consult([_question()]), [reply({"error": "Not Found"}, status=404)])


def test_the_key_is_sent_where_there_is_one_and_never_shown() -> None:
    source = ZwaveJs(api="v1", api_key="0123456789")
    assert talk(source.consult([_question()]), [reply([])]).requests[0].headers["x-api-key"] == "0123456789"
    with pytest.raises(SourceMisconfigured, match="api_key_file") as caught:
        talk(source.consult([_question()]), [reply({"status": 401, "error": "Invalid API key"}, status=401)])
    assert "0123456789" not in str(caught.value) + repr(source)


def test_a_regional_update_comes_before_the_general_one_of_the_same_version() -> None:
    regional, general = _update(region="europe"), _update()
    offers = talk(ZwaveJs(api="v3").consult([_question(region="europe")]), [reply([regional, general])]).result.offers
    assert [each.release.region for each in offers] == ["europe", None]


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"version": "new"}, "version"),
        ({"version": "1.300"}, "version"),
        ({"channel": "nightly"}, "channel"),
        ({"files": []}, "files"),
        ({"files": [{"target": 0, "url": "ftp://x", "integrity": f"sha256:{'a' * 64}"}]}, "url"),
        ({"files": [{"target": 0, "url": "https://x", "integrity": "md5:1"}]}, "integrity"),
        ({"files": [{"target": 256, "url": "https://x", "integrity": f"sha256:{'a' * 64}"}]}, "target"),
        ({"files": [{"target": 0, "url": "https://x", "integrity": f"sha256:{'a' * 64}"}] * 2}, "target"),
        ({"downgrade": "perhaps"}, "downgrade"),
    ],
)
def test_one_bad_update_is_skipped_and_named_and_the_rest_serve(wrong: dict[str, Any], word: str) -> None:
    found = talk(ZwaveJs(api="v3").consult([_question()]), [reply([_update(**wrong), _update("1.62")])]).result
    assert [each.release.file_version for each in found.offers] == ["1.62"]
    assert word in found.skipped[0].why


def test_a_node_of_unknown_version_does_not_concern_the_service() -> None:
    for unknown in ("unknown", "300.1", "1", "\u0661.\u0662", "1.2.3.4"):
        assert not ZwaveJs().concerns(_question(unknown))
    assert ZwaveJs().concerns(_question("1.2"))


@pytest.mark.parametrize("api", VERSIONS)
def test_a_node_whose_version_cannot_be_told_does_not_cost_the_others_their_answer(api: Api) -> None:
    found = talk(ZwaveJs(api=api).consult([_question("300.1"), _question()]), [reply([_answer(_update())] if api == "v4" else [_update()])])
    assert [each.release.file_version for each in found.result.offers] == ["1.61"]


def test_a_version_of_another_target_that_is_none_is_not_sent_and_the_node_gets_its_answer() -> None:
    question = _question(additional={1: "?", 2: "1.10"})
    asked = talk(ZwaveJs(api="v4").consult([question]), [reply([_answer(_update(), additionalFirmwareVersions={"2": "1.10.0"})])])
    assert body_of(asked.requests[0])["devices"][0]["additionalFirmwareVersions"] == {"2": "1.10"}
    assert [each.question for each in asked.result.offers] == [question]


def test_a_file_may_come_over_plain_http_because_its_image_is_vouched_for() -> None:
    release = talk(ZwaveJs(api="v3").consult([_question()]), [reply([_update()])]).result.offers[0].release
    effect = talk(ZwaveJs().fetch(release), [stored()]).effects[0]
    assert isinstance(effect, Download)
    assert effect.expect.vouched
    assert effect.expect.digests == ()


@pytest.mark.parametrize("document", [{}, "text", None, 7])
def test_an_answer_that_is_no_list_is_unintelligible(document: Any) -> None:
    with pytest.raises(SourceUnintelligible):
        talk(ZwaveJs(api="v3").consult([_question()]), [reply(document)])


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9) | st.sampled_from(["0x031e", "0x0001", "1.57.0"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*_answer(), *_update(), "target", "url", "integrity", "error"]), inner)
    ),
    max_leaves=16,
)


@given(_JSON, st.sampled_from([200, 400, 404, 500]), st.sampled_from(["auto", *VERSIONS]))
def test_whatever_the_service_says_only_a_source_error_escapes(answer: Any, status: int, api: Api) -> None:
    def service(_: Effect) -> Response:
        return reply(answer, status=status)

    with suppress(SourceError):
        talk(ZwaveJs(api=api).consult([_question(additional={1: "1.1"})]), service)
