from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from otagate.model.advisories import Advisory
from otagate.model.quirks import Quirk
from otagate.model.versions import version_key
from otagate.policy.casebook import Casebook
from otagate.policy.judge import judge
from otagate.policy.settings import Mode, PolicySettings
from tests.policy.cases import DIGEST_B, NOW, component, device, failed, release

Changes = dict[str, Any]


def row(decision: str, reason: str | None, code: str = "policy-refused", **changes: Changes) -> Any:
    words = [f"{key}={'…' if key == 'casebook' else value}" for group in changes.values() for key, value in group.items()]
    return pytest.param(decision, reason, code, changes, id=f"{decision}: {' '.join(words) or 'plain'}")


AUTOMATIC = {"mode": "automatic"}
OPERATOR = {"operator": True}
FORCE = {"operator": True, "force": True}
OLDER = {"file_version": 9}
LIES = {"tells_version": False}
WARNS = Casebook(advisories=[Advisory(sentence="It dies of it", source="us", codes=(0x117C,), image_types=(0x1409,))])
FAILED_TWICE = Casebook(past={version_key(20): [failed(1), failed(2)]})
ALL_RIGHTS = {"operator": True, "force": True, "allow_downgrade": True}

BETA = {"channel": "beta"}
NEWEST = {"location": "https://x/y", "released": NOW - timedelta(days=13)}
TODAY = {"now": NOW}
UNDATED = "Nobody says when it came out: it is taken by itself 14 days after the hub has planned it."

TABLE: list[Any] = [
    # how releases are taken
    row("ask", "awaiting_approval"),
    row("allow", None, settings=AUTOMATIC),
    row("refuse", None, settings={"mode": "never"}),
    row("allow", None, order=OPERATOR),
    row("allow", None, order=OPERATOR, settings={"mode": "never"}),
    row("allow", None, order={"force": True}),
    row("allow", None, order={"force": True}, settings={"mode": "never"}),
    # what runs already
    row("refuse", None, "already-current", component={"version": 20}, settings=AUTOMATIC),
    row("refuse", None, "already-current", component={"version": 20}, order=ALL_RIGHTS),
    row("ask", "awaiting_approval", component={"version": None}, settings=AUTOMATIC),
    row("ask", "awaiting_approval", component={"version": None}, settings=AUTOMATIC, order={"force": True}),
    row("allow", None, component={"version": None}, order=OPERATOR),
    # direction
    row("refuse", "below_floor", "downgrade-refused", release=OLDER, settings=AUTOMATIC),
    row("refuse", "below_floor", "downgrade-refused", release=OLDER, order=OPERATOR),
    row("refuse", "below_floor", "downgrade-refused", release=OLDER, order=FORCE),
    row("allow", None, release=OLDER, order={"operator": True, "allow_downgrade": True}),
    row("ask", "awaiting_approval", release=OLDER, order={"allow_downgrade": True}),
    row("allow", None, release={"file_version": 11}, settings=AUTOMATIC),
    row("refuse", "below_floor", "downgrade-refused", component={"floor": 21}, settings=AUTOMATIC),
    row("refuse", "below_floor", "downgrade-refused", component={"floor": 21, "version": None}, order=FORCE),
    row("allow", None, component={"floor": 21}, order={"operator": True, "allow_downgrade": True}),
    row("allow", None, component={"floor": 20}, settings=AUTOMATIC),
    row("allow", None, component={"floor": 21}, order=OPERATOR, quirk=LIES),
    # channels
    row("refuse", None, release=BETA, settings=AUTOMATIC),
    row("refuse", None, release=BETA, order=OPERATOR),
    row("allow", None, release=BETA, order={"operator": True, "named": True}),
    row("allow", None, release=BETA, order={"force": True}),
    row("allow", None, release=BETA, settings={**AUTOMATIC, "channel": "beta"}),
    row("allow", None, settings={**AUTOMATIC, "channel": "beta"}),
    # how new it is
    row("hold", "cooldown", release=NEWEST, settings=AUTOMATIC, order=TODAY),
    row("hold", "cooldown", release={**NEWEST, "released": None}, settings=AUTOMATIC, order=TODAY),
    row("hold", "cooldown", release={**NEWEST, "released": NOW + timedelta(days=999)}, settings=AUTOMATIC, order=TODAY),
    row("allow", None, release={**NEWEST, "released": NOW - timedelta(days=14)}, settings=AUTOMATIC, order=TODAY),
    row("allow", None, release=NEWEST, settings={**AUTOMATIC, "cooldown": timedelta(0)}, order=TODAY),
    row("allow", None, release={**NEWEST, "location": None}, settings=AUTOMATIC, order=TODAY),
    row("allow", None, release=NEWEST, order={**OPERATOR, **TODAY}),
    row("allow", None, release=NEWEST, settings=AUTOMATIC, order={"override": ["cooldown"], **TODAY}),
    row("ask", "awaiting_approval", release=NEWEST, order=TODAY),
    # pin
    row("refuse", "pinned", device={"pin": 10}, settings=AUTOMATIC),
    row("refuse", "pinned", device={"pin": 10}, order=OPERATOR),
    row("refuse", "pinned", device={"pin": 0}, order=OPERATOR),
    row("allow", None, device={"pin": 10}, order=FORCE),
    row("allow", None, device={"pin": 20}, settings=AUTOMATIC),
    # skipped versions
    row("refuse", "skipped", device={"skipped": (7, 20)}, settings=AUTOMATIC),
    row("refuse", "skipped", device={"skipped": (20,)}, order=OPERATOR),
    row("allow", None, device={"skipped": (20,)}, order=FORCE),
    row("allow", None, device={"skipped": (19, 21)}, settings=AUTOMATIC),
    # identity
    row("refuse", "image_mismatch", "incompatible-image", release={"image_type": 1}, settings=AUTOMATIC),
    row("refuse", "image_mismatch", "incompatible-image", release={"image_type": 1}, order=ALL_RIGHTS),
    row("refuse", "image_mismatch", "incompatible-image", release={"hardware_min": 4}, order=ALL_RIGHTS),
    row("allow", None, release={"hardware_min": 3}, settings=AUTOMATIC),
    # a missing second key
    row("ask", "awaiting_approval", release={"manufacturer_code": 0xFFFF}, settings=AUTOMATIC),
    row("ask", "awaiting_approval", release={"manufacturer_code": 0xFFFF}, settings=AUTOMATIC, order={"force": True}),
    row("allow", None, release={"manufacturer_code": 0xFFFF}, order=OPERATOR),
    row("ask", "awaiting_approval", release={"hardware_min": 1}, component={"hardware_version": None}, settings=AUTOMATIC),
    row("allow", None, release={"hardware_min": 1}, component={"hardware_version": None}, order=OPERATOR),
    # a kind of device that a release has harmed
    row("refuse", "advisory", order={"casebook": WARNS}, settings=AUTOMATIC),
    row("refuse", "advisory", order={"casebook": WARNS, "override": ("quarantined",)} | ALL_RIGHTS),
    row("ask", "awaiting_approval", order={"casebook": WARNS}, component={"image_type": 1}, release={"image_type": 1}),
    row("refuse", "quarantined", order={"casebook": FAILED_TWICE}, settings=AUTOMATIC),
    row("refuse", "quarantined", order={"casebook": FAILED_TWICE} | ALL_RIGHTS),
    row("allow", None, order={"casebook": FAILED_TWICE, "override": ("quarantined",)} | OPERATOR),
    row("allow", None, order={"casebook": FAILED_TWICE}, release={"sha256": DIGEST_B}, settings=AUTOMATIC),
    # bytes that are not those of before
    row("refuse", "quarantined", release={"alarm": "It is another file now."}, order={"override": ("quarantined",)} | ALL_RIGHTS),
    # silicon
    row(
        "refuse",
        "image_mismatch",
        "incompatible-image",
        component={"inner_format": "silabs-gbl"},
        release={"inner_format": "telink"},
        order=ALL_RIGHTS,
    ),
    row("allow", None, component={"inner_format": "telink"}, release={"inner_format": "telink"}, settings=AUTOMATIC),
    row("allow", None, release={"inner_format": "telink"}, settings=AUTOMATIC),
    row("allow", None, component={"inner_format": "telink"}, settings=AUTOMATIC),
    row("refuse", "image_mismatch", "incompatible-image", release={"image_type": 1}, order={"casebook": WARNS}),
    # a version that is told and not run
    row("ask", "awaiting_approval", settings=AUTOMATIC, quirk=LIES),
    row("ask", "awaiting_approval", settings=AUTOMATIC, quirk=LIES, component={"version": 20}),
    row("ask", "awaiting_approval", settings=AUTOMATIC, quirk=LIES, release=OLDER),
    row("allow", None, order=OPERATOR, quirk=LIES, component={"version": 20}),
    row("ask", "awaiting_approval", settings=AUTOMATIC, component={"version": 0}),
    row("allow", None, settings=AUTOMATIC, component={"version": 1}),
    row("allow", None, order=OPERATOR, component={"version": 0}),
    # what speaks first when several rules have something to say
    row("refuse", "image_mismatch", "incompatible-image", release={"image_type": 1, "file_version": 9}, device={"pin": 3}),
    row("refuse", "below_floor", "downgrade-refused", release=OLDER, device={"pin": 3, "skipped": (9,)}),
    row("refuse", "pinned", device={"pin": 3, "skipped": (20,)}, settings={"mode": "never"}),
    row("refuse", None, release={"manufacturer_code": 0xFFFF}, settings={"mode": "never"}),
]


@pytest.mark.parametrize(("decision", "reason", "code", "changes"), TABLE)
def test_the_decision_table(decision: str, reason: str | None, code: str, changes: dict[str, Changes]) -> None:
    verdict = judge(
        device(**changes.get("device", {})),
        component(**changes.get("component", {})),
        release(**changes.get("release", {})),
        settings=PolicySettings(**changes.get("settings", {})),
        quirk=Quirk(**changes.get("quirk", {})),
        **changes.get("order", {}),
    )
    assert (verdict.decision, verdict.reason, verdict.code) == (decision, reason, code)
    assert verdict.sentence.endswith(".")


@pytest.mark.parametrize(
    ("mode", "order", "who"),
    [("automatic", {}, "taken automatically"), ("ask", OPERATOR, "an operator ordered it"), ("ask", {"force": True}, "it is forced")],
)
def test_an_allowance_says_who_allows(mode: Mode, order: Changes, who: str) -> None:
    assert who in judge(device(), component(), release(), settings=PolicySettings(mode=mode), **order).sentence


@pytest.mark.parametrize(
    ("of_component", "of_release", "quirk", "sentence"),
    [
        ({"version": None}, {}, {}, "The running version is not known, so nobody can say whether the release is newer."),
        ({"version": 0}, {}, {}, "The device tells version 0, as one does that knows none, so nobody can say whether the release is newer."),
        ({}, {"file_version": None}, {}, "The version of the file is not known, so nobody can say whether the release is newer."),
        ({}, {}, LIES, "Devices of this kind tell a version that they do not run, so nobody can say whether the release is newer."),
        ({}, {**NEWEST, "released": None}, {}, UNDATED),
        ({}, {**NEWEST, "released": NOW + timedelta(days=1)}, {}, UNDATED),
        ({}, NEWEST, {}, "It came out on 2024-03-17, and is taken by itself on 2024-03-31."),
    ],
    ids=["running version", "version 0", "version of the file", "a version that is told and not run", "no date", "a date to come", "too new"],
)
def test_what_keeps_a_release_back_is_told_for_people(of_component: Changes, of_release: Changes, quirk: Changes, sentence: str) -> None:
    settings = PolicySettings(mode="automatic")
    assert judge(device(), component(**of_component), release(**of_release), settings=settings, quirk=Quirk(**quirk), now=NOW).sentence == sentence


def test_a_refusal_names_the_versions_for_people() -> None:
    verdict = judge(device(), component(version=0x0102_0304), release(file_version=0x0102_0303), settings=PolicySettings())
    assert "0x01020304" in verdict.sentence
    assert "0x01020303" in verdict.sentence
    assert verdict.facts == {"version": 0x0102_0304, "file_version": 0x0102_0303, "mode": "ask"}
