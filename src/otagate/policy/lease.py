"""Who has a stick that two programs share: when it is borrowed from the other one, and when it goes back.

What there is to do is read from the same rules by which updates are admitted, with the radio taken as up: window, guards, halt and approval hold
before anybody's lamps are left without their program.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from otagate.model.devices import Device
from otagate.model.ids import DeviceId, RadioName, UpdateId
from otagate.model.lifecycle import State
from otagate.model.updates import Update
from otagate.model.waits import shorter
from otagate.policy import guards
from otagate.policy.activation import judge_activation
from otagate.policy.admit import Admission, Scene, admit
from otagate.policy.air import Air
from otagate.policy.guards import Watch
from otagate.policy.settings import PolicySettings
from otagate.policy.window import hours

_NO_WINDOW = timedelta(days=1)

_WORKS = frozenset({State.TRANSFERRING, State.ACTIVATING})
"""Where an update is when its radio is of use to it: what is offered to nobody, or only lived with, is a reason to hold the stick, no success."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Seconds. `most`: so long the stick is kept at once. `idle`: without anything to do. `called`: at least so long after an operator's word.

    `down`: so long the radio may take to come up. `part`: so long devices in mid-transfer are waited for, to be told when to ask again; in a pause
    they ask once a minute. `ready`: so long after its turn has come the radio is surely there for them. `again`: the shortest time that the other
    program has it between two loans. `rest`: after a loan that was of no use, doubled each time up to `longest`. `look`: between two looks.
    """

    most: float = 3_600.0
    idle: float = 60.0
    called: float = 300.0
    down: float = 120.0
    part: float = 70.0
    ready: float = 60.0
    again: float = 60.0
    rest: float = 300.0
    longest: float = 21_600.0
    look: float = 5.0

    def scaled(self, factor: float) -> Terms:
        """The same terms, `factor` times shorter, but for `most`, which an operator gave."""
        return shorter(self, factor, keep={"most"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What there is to do on a radio: how many updates may begin, how many go on, and whether one of these moves.

    `asks`: interlocks whose answer is all that some of them miss.
    """

    begins: int = 0
    runs: int = 0
    moves: bool = False
    asks: frozenset[str] = field(default=frozenset())

    @property
    def any(self) -> bool:
        """Whether there is anything."""
        return self.begins > 0 or self.runs > 0

    @property
    def sentence(self) -> str:
        """For people."""
        words = [f"{count} {what}" for count, what in ((self.begins, "may begin"), (self.runs, "under way")) if count]
        return f"updates: {', '.join(words)}" if words else "nothing is to be done"


NOTHING = Work()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lent:
    """The other program has the stick, since so many seconds; `rest` of them it is to have it. `barred`: only an operator's word counts."""

    since: float
    rest: float
    called: bool
    barred: bool
    work: Work


@dataclass(frozen=True, slots=True, kw_only=True)
class Borrowed:
    """We have it, since so many seconds; `idle`: since there was last something to do; `down`: since the radio was last up; `called`: since an
    operator's word, if any. `trouble`: what keeps the radio off until somebody acts.
    """

    since: float
    idle: float
    down: float
    called: float | None
    trouble: Literal["wrong_network", "in_use"] | None
    work: Work


Deed = Literal["take", "rest", "keep", "give_back"]
Ending = Literal["done", "time", "failed", "wrong_network"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What is done about the stick now, and why; `ending` is how a loan ended."""

    deed: Deed
    sentence: str
    ending: Ending | None = None


def judge_lent(stick: Lent) -> Step:
    """Whether to borrow it: `take` or `rest`."""
    if stick.called:
        return Step(deed="take", sentence="an operator wants it")
    if stick.barred:
        return Step(deed="rest", sentence="only an operator's word borrows it again")
    if stick.since < stick.rest:
        return Step(deed="rest", sentence="the other program has it back since a short while")
    if stick.work.any:
        return Step(deed="take", sentence=stick.work.sentence)
    return Step(deed="rest", sentence="nothing is to be done")


def judge_borrowed(stick: Borrowed, terms: Terms) -> Step:
    """Whether to keep it: `keep` or `give_back`."""
    if stick.trouble == "wrong_network":
        return _back("wrong_network", "another network is on it")
    if stick.trouble is not None:
        return _back("failed", "another program drives it")
    if stick.since >= terms.most - terms.part:
        return _back("time", "the time for one loan is over")
    if stick.down >= terms.down:
        return _back("failed", "its radio does not come up")
    if stick.called is not None and stick.called < terms.called:
        return Step(deed="keep", sentence="an operator wants it")
    if stick.work.any or stick.idle < terms.idle:
        return Step(deed="keep", sentence=stick.work.sentence)
    return _back("done", "nothing is left to do")


def _back(ending: Ending, sentence: str) -> Step:
    return Step(deed="give_back", sentence=sentence, ending=ending)


def away_for(update: Update, settings: PolicySettings, watch: Watch, *, rest: float, back_in: float, terms: Terms) -> float | None:
    """Seconds after which the device of a running update finds us again, if the stick is borrowed after `rest` seconds at the earliest.

    None where it need not be told, because it asks again in `back_in` seconds anyway, which is late enough.
    """
    windows = guards.windows_of(update, settings, watch.house)
    back = watch.now + timedelta(seconds=rest)
    stand = None if windows is None else hours(windows, back)
    if stand is not None and stand.open is None:
        back = back + _NO_WINDOW if stand.next is None else stand.next.begins
    seconds = (back - watch.now).total_seconds()
    return None if back_in >= seconds else seconds + terms.ready


def rest_after(ending: Ending, *, useful: bool, in_vain: int, terms: Terms) -> float:
    """For how many seconds the other program has it after a loan; `in_vain`: how many before this one, in a row, were of no use."""
    if useful and ending == "done":
        return terms.again
    if useful and ending == "time":
        return max(terms.again, terms.most)
    return min(terms.rest * float(2 ** min(in_vain, 16)), max(terms.longest, terms.rest))


# --- what there is to do ------------------------------------------------------------------------------------------------------------------


def work_on(radio: RadioName, scene: Scene, staged: Sequence[Update], *, borrowed: bool, back_in: Mapping[UpdateId, float], terms: Terms) -> Work:
    """What there is to do on a radio, were it up. `staged`: updates whose devices hold their image, and that do not stand still.

    While the stick is lent nobody hears its devices, so all of them count as there, and what was under way goes on only in its window; while it is
    borrowed, what a closed window lets finish finishes, and only devices that sleep are waited for. `back_in`: seconds until devices ask again
    that were told to wait for a later loan: they are no reason to have the stick before.
    """
    air = _as_up(radio, scene.air, scene.now, borrowed=borrowed)
    admission = admit([each for each in scene.queue if each.radio == radio], scene.running, air=air, now=scene.now)
    begins = len(admission.admitted) + _asked_first(admission, scene.queue)
    here = [each for each in scene.running if each.radio == radio and back_in.get(each.id, 0.0) <= terms.ready]
    running = [each for each in here if _goes_on(each, air, scene.now, borrowed=borrowed)]
    watch = Watch(now=scene.now, house=air.house)
    uses = sum(_may_use(each, air, watch) for each in staged if each.radio == radio)
    return Work(
        begins=begins + uses,
        runs=len(running),
        moves=any(each.state in _WORKS for each in running),
        asks=admission.asks_interlocks | watch.asks_interlocks,
    )


def _as_up(radio: RadioName, air: Air, now: datetime, *, borrowed: bool) -> Air:
    radios = {name: replace(each, up=True) if name == radio else each for name, each in air.radios.items()}
    there = {name: _there(device, now, borrowed=borrowed) for name, device in air.devices.items() if device.radio == radio}
    return replace(air, radios=radios, devices={**air.devices, **there}, asleep=frozenset(air.asleep - there.keys()))


def _there(device: Device, now: datetime, *, borrowed: bool) -> Device:
    if borrowed and not device.sleepy:
        return device
    return replace(device, online=True, last_seen=now)


def _asked_first(admission: Admission, queue: Sequence[Update]) -> int:
    """Those that begin as soon as their device has said that nobody uses it: that can be asked only by its radio."""
    asked: frozenset[DeviceId] = admission.asks_devices
    return sum(each.device in asked and each.id in admission.waiting and admission.waiting[each.id].reason == "in_use" for each in queue)


def _goes_on(update: Update, air: Air, now: datetime, *, borrowed: bool) -> bool:
    radio = air.radios.get(update.radio)
    if update.foreign or update.id in air.paused or air.halted or radio is None or radio.paused is not None:
        return False
    return borrowed or guards.closed(update, _settings(update, air), Watch(now=now, house=air.house)) is None


def _may_use(update: Update, air: Air, watch: Watch) -> bool:
    """Whether its image is used now, or as soon as its device has said that nobody uses it."""
    verdict = judge_activation(update, _settings(update, air), air=air, watch=watch)
    return verdict.allowed or (verdict.reason == "in_use" and update.device in watch.asks_devices)


def _settings(update: Update, air: Air) -> PolicySettings:
    device = air.devices.get(update.device)
    return PolicySettings() if device is None else air.policy_of(device)
