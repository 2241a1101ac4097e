"""Whether an image can be made to wait on its device, and when that wait is over: decision tables."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from otagate.model.devices import Activation
from otagate.model.lifecycle import State
from otagate.model.quirks import PLAIN, Quirk
from otagate.model.verdicts import Verdict
from otagate.policy.activation import Staging, Wish, judge_activation, spared, stage, wish_of
from otagate.policy.air import Air, RadioAir
from otagate.policy.guards import House, Watch, asks_around
from otagate.policy.settings import PolicySettings
from otagate.policy.window import OneTime
from tests.policy.cases import NOW, RADIO, component, device, device_id, update

HOUR = timedelta(hours=1)
LATER = NOW + HOUR
OPEN = OneTime(name="night", begins=NOW - HOUR, ends=LATER)
SHUT = OneTime(name="night", begins=LATER, ends=NOW + 2 * HOUR)

HELD = Staging(hold_activation=True)
IN_WINDOW = Staging(hold_activation=True, activate_in_window=True)
AT_TIME = Staging(hold_activation=True, activate_from=LATER)
ALL_IN_WINDOW = Staging(activate_in_window=True, in_window=True)
ALL_AT_TIME = Staging(not_before=LATER)

CANNOT_HOLD = {"held": None, "window": ALL_IN_WINDOW, LATER: ALL_AT_TIME}
HOLDS = {"held": HELD, "window": IN_WINDOW, LATER: AT_TIME}
IN_ITS_WAY = dict.fromkeys(["held", "window", LATER])

KINDS: dict[str, tuple[dict[str, Any], dict[Any, Staging | None]]] = {
    "says nothing of it": ({}, HOLDS),
    "takes the hub's word": ({"activation": "server"}, HOLDS),
    "takes the hub's word, whatever its kind does": ({"activation": "server", "quirk": Quirk(holds=False)}, HOLDS),
    "takes the hub's word, as it says, and showed that it does not": ({"activation": "server", "holds": False}, CANNOT_HOLD),
    "has a way of its own": ({"activation": "out_of_band"}, IN_ITS_WAY),
    "has a way of its own, which is forced": ({"activation": "out_of_band", "force": True}, HOLDS),
    "uses it at once, as it says": ({"activation": "at_once"}, CANNOT_HOLD),
    "uses it at once, as it says, which is forced": ({"activation": "at_once", "force": True}, HOLDS),
    "used it at once before": ({"holds": False}, CANNOT_HOLD),
    "held one before, though its kind does not": ({"holds": True, "quirk": Quirk(holds=False)}, HOLDS),
    "is of a kind that does not": ({"quirk": Quirk(holds=False)}, CANNOT_HOLD),
    "is its cloud's": ({"protocol": "cloud"}, CANNOT_HOLD),
}


def staged(
    wish: Wish,
    *,
    activation: Activation | None = None,
    holds: bool | None = None,
    protocol: Any = "zigbee",
    quirk: Quirk = PLAIN,
    force: bool = False,
) -> Staging | Verdict:
    mine = component(activation=activation, holds=holds)
    return stage(wish, device(protocol=protocol, components=(mine,)), mine, quirk, force=force)


@pytest.mark.parametrize("wish", ["held", "window", LATER], ids=["held", "window", "time"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_wish_comes_to_what_the_device_can_do(kind: str, wish: Wish) -> None:
    of, wanted = KINDS[kind]
    found = staged(wish, **of)
    if wanted[wish] is not None:
        assert found == wanted[wish]
        return
    assert isinstance(found, Verdict)
    assert (found.decision, found.code, found.sentence[-1]) == ("refuse", "policy-refused", ".")


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_a_device_does_its_image_may_be_used_now(kind: str) -> None:
    assert staged("now", **KINDS[kind][0]) == Staging()


def test_a_refusal_says_what_the_device_does_and_what_to_order_instead() -> None:
    kinds: list[dict[str, Any]] = [
        {"activation": "at_once", "protocol": "zwave"},
        {"activation": "at_once"},
        {"holds": False},
        {"activation": "out_of_band"},
    ]
    node, elsewhere, lamp, remote = (staged("held", **of) for of in kinds)
    assert isinstance(node, Verdict)
    assert isinstance(elsewhere, Verdict)
    assert isinstance(lamp, Verdict)
    assert isinstance(remote, Verdict)
    assert node.sentence.startswith("The node uses a new image as soon as it has it: its Firmware Update command class knows no activation")
    assert elsewhere.sentence.startswith("zigbee2mqtt has the device use a new image as soon as it has it, so it cannot hold one.")
    assert lamp.sentence.startswith("The device uses a new image as soon as it has it, as it showed before")
    assert lamp.sentence.endswith("Order it to be used in a window or at a time: it is then brought only then.")
    assert "a button or its maker's app" in remote.sentence
    assert "Order it to be used now" in remote.sentence


@pytest.mark.parametrize(
    ("wish", "staging"), [("now", Staging()), ("held", HELD), ("window", IN_WINDOW), (LATER, AT_TIME), ("window", ALL_IN_WINDOW)]
)
def test_what_was_wished_can_be_told_from_the_update(wish: Wish, staging: Staging) -> None:
    mine = update(hold_activation=staging.hold_activation, activate_in_window=staging.activate_in_window, activate_from=staging.activate_from)
    assert wish_of(mine) == wish


# --- when the wait is over -------------------------------------------------------------------------------------------------------------------

IN_THE_WINDOW = {"hold_activation": True, "activate_in_window": True}
LOCKED = {"settings": {"windows": (OPEN,), "interlocks": ("fire",)}}
SPARED = {"settings": {"windows": (OPEN,), "spare_in_use": True}}
ON = {"in_use": {device_id(1): True}}
OFF = {"in_use": {device_id(1): False}}
FIRE = {"interlocks": {"fire": "fire test"}}
OVERRULED: dict[str, Any] = {"override": ("in_use", "interlock")}
SPARES_NOT: dict[str, Any] = {"override": ("in_use",)}
RELEASED = {"released_by": "anna"}
WAITS = "hold"


def case(decision: str, reason: str | None, *, name: str, world: dict[str, Any] | None = None, **changes: Any) -> Any:
    return pytest.param(decision, reason, changes, world or {}, id=name)


TABLE = [
    case(WAITS, None, name="held: nobody gave the word", hold_activation=True),
    case("allow", None, name="held: the word is given", hold_activation=True, **RELEASED),
    case(WAITS, "offline", name="held: the word is given, the device is away", hold_activation=True, **RELEASED, world={"of": {"online": False}}),
    case(WAITS, "offline", name="held: the word is given, the radio is away", hold_activation=True, **RELEASED, world={"up": False}),
    case(WAITS, "asleep", name="held: the word is given, the device sleeps", hold_activation=True, **RELEASED, world={"asleep": True}),
    case(WAITS, None, name="wants another image first"),
    case("allow", None, name="what held it back has ended", activation_owed=True),
    case(WAITS, "scheduled", name="its time has not come", hold_activation=True, activate_from=LATER),
    case(
        WAITS,
        "clock_unsynced",
        name="a clock that nobody trusts has no time",
        hold_activation=True,
        activate_from=NOW,
        world={"clock": "It is 1970."},
    ),
    case("allow", None, name="its time has come", hold_activation=True, activate_from=NOW),
    case(WAITS, "in_use", name="its time has come, the lamp is on", hold_activation=True, activate_from=NOW, world=SPARED | ON),
    case(WAITS, "in_use", name="its time has come, nobody was asked", hold_activation=True, activate_from=NOW, world=SPARED),
    case("allow", None, name="its time has come, the lamp is off", hold_activation=True, activate_from=NOW, world=SPARED | OFF),
    case("allow", None, name="its time has come, the lamp is on, which matters to nobody", hold_activation=True, activate_from=NOW, world=ON),
    case(WAITS, "interlock", name="its time has come, an interlock says no", hold_activation=True, activate_from=NOW, world=LOCKED | FIRE),
    case(WAITS, "in_use", name="what held it back has ended, the lamp is on", activation_owed=True, world=SPARED | ON),
    case(WAITS, "interlock", name="what held it back has ended, an interlock says no", activation_owed=True, world=LOCKED | FIRE),
    case("allow", None, name="its time has come, the order overruled that", hold_activation=True, activate_from=NOW, **OVERRULED, world=SPARED | ON),
    case("allow", None, name="its time has come, it is forced", hold_activation=True, activate_from=NOW, force=True, world=SPARED | ON),
    case(WAITS, "scheduled", name="its time has not come, the order overruled guards", hold_activation=True, activate_from=LATER, **OVERRULED),
    case("allow", None, name="its time has not come, the word is given", hold_activation=True, activate_from=LATER, **RELEASED),
    case(WAITS, "window_closed", name="its window is closed", **IN_THE_WINDOW, world={"settings": {"windows": (SHUT,)}}),
    case("allow", None, name="its window is open", **IN_THE_WINDOW, world={"settings": {"windows": (OPEN,)}}),
    case("allow", None, name="bound to no window: one of the hub is open", **IN_THE_WINDOW, world={"windows": (OPEN,)}),
    case(WAITS, "window_closed", name="bound to no window: those of the hub are closed", **IN_THE_WINDOW, world={"windows": (SHUT,)}),
    case(
        WAITS,
        "clock_unsynced",
        name="a clock that nobody trusts opens no window",
        **IN_THE_WINDOW,
        world={"windows": (OPEN,), "clock": "It is 1970."},
    ),
    case("allow", None, name="its window is closed, the word is given", **IN_THE_WINDOW, **RELEASED, world={"settings": {"windows": (SHUT,)}}),
    case(WAITS, "interlock", name="an interlock says no", **IN_THE_WINDOW, world=LOCKED | {"interlocks": {"fire": "fire test"}}),
    case(WAITS, "interlock", name="an interlock was not asked", **IN_THE_WINDOW, world=LOCKED),
    case("allow", None, name="an interlock says yes", **IN_THE_WINDOW, world=LOCKED | {"interlocks": {"fire": None}}),
    case(WAITS, "interlock", name="an interlock says no, the word is given", **IN_THE_WINDOW, **RELEASED, world=LOCKED | FIRE),
    case("allow", None, name="an interlock says no, the word overrules it", **IN_THE_WINDOW, **RELEASED, **OVERRULED, world=LOCKED | FIRE),
    case(WAITS, "interlock", name="another guard is overruled than the one that speaks", **IN_THE_WINDOW, **SPARES_NOT, world=LOCKED | FIRE),
    case(WAITS, "in_use", name="the lamp is on", **IN_THE_WINDOW, world=SPARED | ON),
    case(WAITS, "in_use", name="the lamp is on, the word is given", **IN_THE_WINDOW, **RELEASED, world=SPARED | ON),
    case(WAITS, "in_use", name="held: the lamp is on, the word is given", hold_activation=True, **RELEASED, world=SPARED | ON),
    case("allow", None, name="held: the lamp is on, the word overrules it", hold_activation=True, **RELEASED, **OVERRULED, world=SPARED | ON),
]


def judged(
    changes: dict[str, Any],
    *,
    settings: dict[str, Any] | None = None,
    of: dict[str, Any] | None = None,
    up: bool = True,
    asleep: bool = False,
    now: datetime = NOW,
    **house: Any,
) -> Verdict:
    mine = update(1, state=State.STAGED, **changes)
    found = device(**{"id": mine.device, "sleepy": asleep} | (of or {}))
    air = Air(radios={RADIO: RadioAir(up=up)}, devices={found.id: found}, asleep={found.id} if asleep else frozenset())
    return judge_activation(mine, PolicySettings(**(settings or {})), air=air, watch=Watch(now=now, house=House(**house)))


@pytest.mark.parametrize(("decision", "reason", "changes", "world"), TABLE)
def test_a_staged_update_is_used_or_says_for_what_it_waits(decision: str, reason: str | None, changes: dict[str, Any], world: dict[str, Any]) -> None:
    verdict = judged(changes, **world)
    assert (verdict.decision, verdict.reason) == (decision, reason)
    assert verdict.sentence


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"hold_activation": True} | RELEASED, "an operator gave the word"),
        ({"hold_activation": True, "activation_owed": True}, "what held it back has ended"),
        ({"hold_activation": True, "activate_from": NOW}, "the time has come to use it"),
        (IN_THE_WINDOW, "its window is open"),
        ({}, "The device holds the image and wants another one before it uses them."),
    ],
    ids=["released", "owed", "scheduled", "window", "wants another"],
)
def test_a_verdict_says_what_decided_it(changes: dict[str, Any], sentence: str) -> None:
    assert judged(changes, windows=(OPEN,)).sentence == sentence


def test_an_image_waits_for_the_word_though_its_device_is_known_no_more() -> None:
    mine = update(1, state=State.STAGED, hold_activation=True)
    verdict = judge_activation(mine, PolicySettings(), air=Air(radios={RADIO: RadioAir()}, devices={}), watch=Watch(now=NOW))
    without = judged({"hold_activation": True}, of={"components": ()})
    assert verdict.sentence == without.sentence == "The device holds the image and waits for the word to use it."


def test_nobody_is_asked_for_an_image_that_could_not_be_used() -> None:
    mine = update(1, state=State.STAGED, **IN_THE_WINDOW)
    found = device(id=mine.device, online=False)
    watch = Watch(now=NOW)
    air = Air(radios={RADIO: RadioAir()}, devices={found.id: found})
    judge_activation(mine, PolicySettings(**LOCKED["settings"]), air=air, watch=watch)  # type: ignore[arg-type]
    assert (watch.asks_interlocks, watch.asks_devices) == (set(), set())


@pytest.mark.parametrize(
    ("used", "told"),
    [
        (False, ("hold", "The device holds the image and wants another one before it uses them.")),
        (True, ("allow", "the device was told to use all its images")),
    ],
)
def test_what_wants_another_image_is_used_with_it_and_not_before_whoever_gave_the_word(used: bool, told: tuple[str, str]) -> None:
    mine = update(1, state=State.STAGED, hold_activation=True, wants_more=True, **RELEASED)
    air = Air(radios={RADIO: RadioAir()}, devices={mine.device: device(id=mine.device)})
    verdict = judge_activation(mine, PolicySettings(), air=air, watch=Watch(now=NOW), used=used)
    assert (verdict.decision, verdict.sentence) == told


def test_a_device_that_is_known_no_more_is_spared_by_interlocks_alone() -> None:
    mine, nobody = update(1, state=State.STAGED), Air(radios={RADIO: RadioAir()}, devices={})
    assert spared(mine, PolicySettings(spare_in_use=True), air=nobody, watch=Watch(now=NOW)) is None
    found = spared(mine, PolicySettings(interlocks=("fire",)), air=nobody, watch=Watch(now=NOW))
    assert found is not None
    assert found.reason == "interlock"


def test_what_is_used_and_not_begun_is_told_so() -> None:
    assert judged({"hold_activation": True, "activate_from": NOW}, **SPARED, **ON).sentence == "It is on; the image is used when it is off."


@pytest.mark.parametrize(
    ("settings", "changes", "asks"),
    [
        ({}, {}, False),
        ({"interlocks": ("fire",)}, {}, True),
        ({"interlocks": ("fire",)}, {"override": ("interlock",)}, False),
        ({"interlocks": ("fire",)}, {"override": ("in_use",)}, True),
        ({"spare_in_use": True}, {}, True),
        ({"spare_in_use": True}, {"override": ("in_use",)}, False),
        ({"spare_in_use": True}, {"force": True}, False),
        ({"spare_in_use": True, "interlocks": ("fire",)}, {"override": ("in_use",)}, True),
    ],
)
def test_whether_somebody_is_asked_before_a_device_is_disturbed(settings: dict[str, Any], changes: dict[str, Any], asks: bool) -> None:
    assert asks_around(update(1, **changes), PolicySettings(**settings)) is asks


@pytest.mark.parametrize(("applies", "warned"), [(True, True), (False, False), (None, False)])
def test_a_device_that_uses_an_image_by_itself_in_the_end_is_known_as_such(applies: bool | None, warned: bool) -> None:
    verdict = judged({"hold_activation": True}, of={"components": (component(applies_unasked=applies),)})
    assert ("by itself, as it says" in verdict.sentence) is warned
