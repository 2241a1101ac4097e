"""Every reason word of the API has one case in and one case out, which differ in one thing; a word without them fails by its name."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from otagate.cli.words import REASONS
from otagate.model.advisories import Advisory
from otagate.model.devices import Device, ZwaveNode
from otagate.model.ids import UpdateId, zwave_component_id, zwave_device_id
from otagate.model.lifecycle import State
from otagate.model.links import Link, Load
from otagate.model.releases import Fingerprint, Release
from otagate.model.rollouts import Rollout, RolloutId, RolloutState, Selection, Wave, WavePlan
from otagate.model.versions import version_key
from otagate.policy.admit import admit
from otagate.policy.air import AWAKE_FOR, Air, RadioAir
from otagate.policy.casebook import Casebook
from otagate.policy.guards import House
from otagate.policy.judge import judge
from otagate.policy.plan import choose
from otagate.policy.rollout import hold_of
from otagate.policy.settings import PolicySettings
from otagate.policy.window import OneTime
from tests.policy.cases import DIGEST_B, NOW, RADIO, component, device, device_id, failed, release, update

HOUR = timedelta(hours=1)

Reason = Callable[[], str | None]


def taken(*, mode: str = "automatic", of: dict[str, Any] | None = None, offers: dict[str, Any] | None = None, **order: Any) -> Reason:
    """What is said of one release for a lamp that would take it by itself: `of` changes the lamp, `offers` the release."""

    def ask() -> str | None:
        settings = PolicySettings(mode=mode)  # type: ignore[arg-type]
        verdict = judge(device(**(of or {})), component(), release(**(offers or {})), settings=settings, now=NOW, **order)
        assert verdict.allowed == (verdict.reason is None), verdict
        return verdict.reason

    return ask


def chosen(*releases: Release) -> Reason:
    """What is said of several releases for that lamp."""
    return lambda: choose(device(), component(), releases, settings=PolicySettings(mode="automatic")).verdict.reason


def regional(region: str) -> Reason:
    """What is said of a Z-Wave release for a region to a plug in Europe."""
    main = component(id=zwave_component_id(0), version="1.0", manufacturer_code=None, image_type=None, hardware_version=None)
    plug = Device(
        id=zwave_device_id(1, 2), radio=RADIO, protocol="zwave", manufacturer_code=1, components=(main,),
        node=ZwaveNode(product_type=2, product_id=3, region="europe"),
    )  # fmt: skip
    prints = (Fingerprint(manufacturer_id=1, product_type=2, product_id=3),)
    offered = Release(source="service", protocol="zwave", file_version="1.1", size=1, target=0, fingerprints=prints, region=region)
    return lambda: judge(plug, main, offered, settings=PolicySettings(mode="automatic")).reason


def begun(
    *, of: dict[str, Any] | None = None, settings: dict[str, Any] | None = None, house: dict[str, Any] | None = None,
    load: int = 0, running: int | None = None, air: dict[str, Any] | None = None, **changes: Any,
) -> Reason:  # fmt: skip
    """For what one update of a lamp waits that could begin: `of` changes the lamp, `running` is the number of a device that is updated already."""

    def ask() -> str | None:
        mine = update(1, **changes)
        lamp, wanted = device(**({"id": mine.device} | (of or {}))), PolicySettings(**(settings or {}))
        radio = RadioAir(parallel=1, load=Load(measured=NOW, seconds=180, used=load))
        world: dict[str, Any] = {"radios": {RADIO: radio}, "devices": {lamp.id: lamp}, "policy_of": lambda _: wanted}
        others = [] if running is None else [update(2, device=device_id(running), state=State.TRANSFERRING)]
        admission = admit([mine], others, air=Air(**world, **(air or {}), house=House(**(house or {}))), now=NOW)
        return None if admission.admitted else admission.waiting[mine.id].reason

    return ask


def of_wave(wave: int) -> Reason:
    """For what an update of this wave waits while the first one is open."""
    waves = tuple(Wave(plan=WavePlan(share=0.5), devices=(device_id(n),), opened=NOW if n == 0 else None) for n in range(2))
    rollout = Rollout(
        id=RolloutId("r"), name="r", select=Selection(), version=None, waves=waves, state=RolloutState.RUNNING, sentence="", actor="anna", created=NOW
    )

    def ask() -> str | None:
        held = hold_of(update(1, rollout=rollout.id, wave=wave), rollout)
        return None if held is None else held.reason

    return ask


DEADLY = Casebook(advisories=[Advisory(sentence="It dies of it", source="us", codes=(0x117C,))])
FAILED_TWICE = Casebook(past={version_key(20): [failed(1), failed(2)]})
LOCKED = {"interlocks": ("fire",)}
SHUT = {"windows": (OneTime(name="later", begins=NOW + HOUR, ends=NOW + 2 * HOUR),)}
OPEN = {"windows": (OneTime(name="now", begins=NOW - HOUR, ends=NOW + HOUR),)}
LATER = {"not_before": NOW + HOUR}
PAST = {"not_before": NOW}
BEGAN = {"started": NOW - HOUR}
UNKNOWN_CHARGE = {"power": "battery", "battery_percent": None}
SLEEPY = {"sleepy": True, "last_seen": NOW - AWAKE_FOR}

CASES: dict[str, tuple[Reason, Reason]] = {
    "advisory": (taken(casebook=DEADLY), taken(casebook=Casebook())),
    "ambiguous": (chosen(release(), release(sha256=DIGEST_B)), chosen(release(), release())),
    "asleep": (begun(of=SLEEPY | {"last_seen": NOW - AWAKE_FOR - HOUR}), begun(of=SLEEPY)),
    "awaiting_approval": (taken(mode="ask"), taken(mode="automatic")),
    "backoff": (begun(**LATER, **BEGAN), begun(**PAST, **BEGAN)),
    "battery_low": (begun(of={"power": "battery", "battery_percent": 69}), begun(of={"power": "battery", "battery_percent": 70})),
    "battery_unknown": (begun(of=UNKNOWN_CHARGE), begun(of=UNKNOWN_CHARGE, actor="anna")),
    "below_floor": (taken(offers={"file_version": 9}), taken(offers={"file_version": 11})),
    "clock_unsynced": (begun(settings=OPEN, house={"clock": "It is 1970."}), begun(settings=OPEN)),
    "cooldown": (taken(offers={"location": "x", "released": NOW}), taken(offers={"location": "x", "released": NOW - 14 * 24 * HOUR})),
    "halted": (begun(air={"halted": True}), begun()),
    "image_mismatch": (taken(offers={"models": ("Lamp 2",)}), taken(offers={"models": ("Lamp 1",)})),
    "in_use": (begun(settings={"spare_in_use": True}, house={"in_use": {device_id(1): True}}), begun(house={"in_use": {device_id(1): True}})),
    "interlock": (begun(settings=LOCKED, house={"interlocks": {"fire": "test"}}), begun(settings=LOCKED, house={"interlocks": {"fire": None}})),
    "link_weak": (begun(house={"links": {device_id(1): Link(heard=NOW, lqi=19)}}), begun(house={"links": {device_id(1): Link(heard=NOW, lqi=20)}})),
    "load": (begun(load=51), begun(load=50)),
    "offline": (begun(of={"online": False}), begun(of={"online": True})),
    "paused": (begun(air={"paused": frozenset({UpdateId("u001")})}), begun(air={"paused": frozenset({UpdateId("u002")})})),
    "pinned": (taken(of={"pin": 10}), taken(of={"pin": 20})),
    "predecessor": (begun(running=1), begun(running=None)),
    "quarantined": (taken(casebook=FAILED_TWICE), taken(casebook=FAILED_TWICE, offers={"sha256": DIGEST_B})),
    "quota": (begun(**LATER, **BEGAN, reason="quota"), begun(**PAST, **BEGAN, reason="quota")),
    "radio_busy": (begun(running=2), begun(running=2, of={"sleepy": True, "last_seen": NOW})),
    "region_mismatch": (regional("usa"), regional("europe")),
    "scheduled": (begun(**LATER), begun(**PAST)),
    "skipped": (taken(of={"skipped": (20,)}), taken(of={"skipped": (21,)})),
    "source_unreachable": (begun(**LATER, **BEGAN, reason="source_unreachable"), begun(**PAST, **BEGAN, reason="source_unreachable")),
    "wave": (of_wave(1), of_wave(0)),
    "window_closed": (begun(settings=SHUT), begun(settings=OPEN)),
}  # fmt: skip


@pytest.mark.parametrize("word", sorted(REASONS))
def test_every_word_has_a_case_in_and_a_case_out(word: str) -> None:
    assert word in CASES, f"no rule of policy is shown to say {word!r}: give it a case in and a case out"
    inside, outside = CASES[word]
    assert inside() == word
    assert outside() is None


def test_no_word_has_cases_that_the_api_does_not_know() -> None:
    assert set(CASES) == set(REASONS)
