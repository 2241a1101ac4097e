"""What the mirror may offer: what policy allows to every device of a model, and nothing that it takes back for one of them."""

from __future__ import annotations

from typing import Any

import pytest

from otagate.mirror.selection import Offered, select

SHA = "ab" * 32
IMAGE = {
    "sha256": SHA,
    "file_name": "lamp.ota",
    "bytes": 1_000,
    "manufacturer_code": 0x1189,
    "image_type": 0x0083,
    "file_version": 20,
    "header_string": "lamp",
    "hardware_min": 1,
    "hardware_max": 3,
    "destination": None,
    "checks": [{"name": "length", "result": "pass"}, {"name": "inner", "result": "unknown"}],
}
OTHER = "cd" * 32
RELEASE = {"version": 20, "digests": {"sha256": SHA}, "changelog": "brighter"}
OFFERED = Offered(
    sha256=SHA,
    file_name="lamp.ota",
    size=1_000,
    file_version=20,
    manufacturer_code=0x1189,
    image_type=0x0083,
    header_string="lamp",
    hardware_min=1,
    hardware_max=3,
    model="Lamp",
    manufacturer="Maker",
    notes="brighter",
)


def _device(name: str = "a", *, version: int | None = 10, model: str | None = "Lamp") -> dict[str, Any]:
    return {"id": name, "model": model, "manufacturer": "Maker", "components": [{"id": "0083", "version": version}]}


def _offer(decision: str = "allow", **release: Any) -> dict[str, Any]:
    return {"component": "0083", "release": RELEASE | release, "verdict": {"decision": decision}}


def _update(device: str = "a", *, state: str = "succeeded", approved_by: str | None = "eve", image: str = SHA) -> dict[str, Any]:
    return {"device": device, "image": image, "state": state, "approved_by": approved_by}


def _selected(devices: list[dict[str, Any]], *decisions: str, updates: tuple[dict[str, Any], ...] = (), image: dict[str, Any] = IMAGE) -> Any:
    offers = {device["id"]: [_offer(decision)] for device, decision in zip(devices, decisions, strict=True)}
    return select(devices, offers, [image], updates)


def test_what_policy_allows_is_offered_to_its_model_with_its_notes() -> None:
    assert _selected([_device()], "allow") == (OFFERED,)


@pytest.mark.parametrize("decision", ["refuse", "hold", "ask"])
def test_what_policy_does_not_allow_is_not_offered(decision: str) -> None:
    assert _selected([_device()], decision) == ()


@pytest.mark.parametrize(
    ("update", "offered"),
    [
        (_update(state="queued"), True),
        (_update(state="succeeded"), True),
        (_update(state="failed"), False),
        (_update(state="cancelled"), False),
        (_update(state="planned"), False),
        (_update(approved_by=None), False),
        (_update("b"), False),
        (_update(image="cd" * 32), False),
    ],
)
def test_what_waits_for_approval_is_offered_once_somebody_has_approved_it_for_this_device(update: dict[str, Any], offered: bool) -> None:
    assert bool(_selected([_device()], "ask", updates=(update,))) is offered


def test_an_approval_does_not_overrule_a_refusal() -> None:
    assert _selected([_device()], "refuse", updates=(_update(),)) == ()


def test_one_device_that_must_not_have_it_keeps_it_from_all_of_its_model() -> None:
    assert _selected([_device("a"), _device("b")], "allow", "refuse") == ()
    other = _device("b", model="Plug")
    assert [each.model for each in _selected([_device("a"), other], "allow", "refuse")] == ["Lamp"]


def test_a_device_that_runs_it_already_says_nothing_of_the_others() -> None:
    assert _selected([_device("a", version=20), _device("b")], "refuse", "allow") == (OFFERED,)
    assert _selected([_device("a", version=20)], "allow") == ()


def test_a_device_without_a_model_is_offered_nothing_because_that_would_be_for_all_of_its_type() -> None:
    assert _selected([_device(model=None)], "allow") == ()


@pytest.mark.parametrize(
    "flaw",
    [
        {"checks": [{"name": "inner", "result": "fail"}]},
        {"destination": "00124b0000aa0000"},
        {"manufacturer_code": None},
        {"image_type": None},
        {"file_version": None},
        {"file_version": "1.2"},
        {"sha256": OTHER},
    ],
)
def test_an_image_that_is_not_sound_or_not_the_release_is_not_offered(flaw: dict[str, Any]) -> None:
    assert _selected([_device()], "allow", image=IMAGE | flaw) == ()


def test_newest_first_within_a_kind() -> None:
    older = IMAGE | {"sha256": OTHER, "file_version": 15}
    offers = {"a": [_offer(version=15, digests={"sha256": OTHER}), _offer()]}
    assert [each.file_version for each in select([_device()], offers, [older, IMAGE], ())] == [20, 15]


def test_of_two_files_of_one_version_and_size_the_one_is_offered_that_policy_means_and_no_other() -> None:
    rival = IMAGE | {"sha256": OTHER}
    for images in ([IMAGE, rival], [rival, IMAGE]):
        assert select([_device()], {"a": [_offer()]}, images, ()) == (OFFERED,)
        assert [each.sha256 for each in select([_device()], {"a": [_offer(), _offer("refuse", digests={"sha256": OTHER})]}, images, ())] == [SHA]
        assert select([_device()], {"a": [_offer(digests={})]}, images, ()) == (), "of what is not here nobody knows which it is"
