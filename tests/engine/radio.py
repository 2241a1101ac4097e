"""A radio in memory, with the devices behind it: it stands for a coordinator so that days can pass in milliseconds.

It keeps the promises of `ports.Radio` that the engine relies on, no more: what devices do is told until it is committed, what waits for a commit
does not leave before it, orders are idempotent and outlive a connection. The devices are scripts: each does what its `Lamp` says, at that pace.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from otagate.model.devices import Component, Device
from otagate.model.errors import DeviceUnreachable, RadioError, RadioUnavailable, UnknownDevice
from otagate.model.ids import ComponentId, DeviceId, RadioName, UpdateId, zigbee_component_id, zigbee_device_id
from otagate.model.lifecycle import Cause
from otagate.model.orders import Activate, Order, Park, Pause, Release, Resume, Serve, Withdraw
from otagate.model.portraits import Portrait, Setting
from otagate.ports import (
    DeviceAsked,
    DeviceFound,
    DeviceReturned,
    DeviceSeen,
    Emit,
    Knocked,
    RadioBackup,
    RadioChanged,
    TransferAdvanced,
    TransferProgressed,
)

ZIGBEE0 = RadioName("zigbee0")
LAMP = zigbee_device_id(0x000D_6F00_0A90_69E7)
IMAGE_TYPE = 0x1409
MAKER = 0x117C
MAIN = zigbee_component_id(IMAGE_TYPE)
OLD, NEW, NEWER = 1, 2, 3

_STEPS = 10
_AGAIN = 5.0
_TOLD_AGAIN = 10.0
_END_AGAIN = 60.0
_GOES_DOWN_IN = 0.5
_OFFER, _OFFER_SLEEPY = 120.0, 900.0
_SILENCE, _SILENCE_SLEEPY = 300.0, 3_600.0


@dataclass(slots=True, eq=False)
class Lamp:
    """One device and what it will do. `leaves`: reboots with the whole image and no word. `stops_at`: the share of the image at which it stalls or
    aborts. `set_to`: how it is set; with new firmware it `forgets` some of that, for good where it does not `learn` them again; it does not answer
    questions that are `unanswered`, and none from `down_at` until it is back. `waited`: for the last Upgrade End Response. Times in seconds.

    `others`: what its further processors run, by image type, which it tells only when it asks for an image; one that `wants_all` of its images
    before it uses any has those that it holds in `staged`. `fetching`: for which processor it asks now. `ran_together`: all that it used at one
    moment.
    """

    id: DeviceId = LAMP
    radio: RadioName = ZIGBEE0
    version: int = OLD
    image_type: int = IMAGE_TYPE
    model: str | None = "Lamp 1"
    client_maker: int = MAKER  # what its OTA client says; its node descriptor says MAKER
    sleepy: bool = False
    there: bool = True
    asks: bool = True
    goes: Literal["well", "stalls", "aborts", "rejects", "declines", "leaves"] = "well"
    stops_at: float = 0.5
    boots: Literal["new", "old", "never"] = "new"
    seconds: float = 60.0
    reboot: float = 5.0
    battery: int | None = 100
    hardware: int | None = None  # told only when it asks for an image
    set_to: tuple[Setting, ...] = ()
    forgets: tuple[Setting, ...] = ()
    learns: bool = True
    unanswered: tuple[str, ...] = ()
    answers_in: float = 0.2
    waited: float = 0.0
    down_at: float = float("inf")
    asked: list[str] = field(default_factory=list)
    reported_at: float | None = None
    interrogations: int = 0
    notifies: int = 0
    downloads: int = 0
    offset: float = 0.0
    busy: Literal["", "downloading", "ending", "rebooting"] = ""
    fetched: int = OLD
    others: dict[int, int] = field(default_factory=dict)
    wants_all: bool = False
    staged: dict[int, int] = field(default_factory=dict)
    fetching: int | None = None
    rejects: tuple[int, ...] = ()
    ran_together: list[dict[int, int]] = field(default_factory=list)

    @property
    def component(self) -> ComponentId:
        return zigbee_component_id(self.image_type)

    @property
    def versions(self) -> dict[int, int]:
        return {self.image_type: self.version, **self.others}

    @property
    def turn(self) -> int:
        return self.image_type if self.fetching is None else self.fetching

    @property
    def missing(self) -> list[int]:
        return [each for each in self.versions if each not in self.staged]

    def install(self) -> None:
        """Run what it holds."""
        self.ran_together.append(dict(self.staged))
        self.version = self.staged.pop(self.image_type, self.version)
        self.others.update(self.staged)
        self.staged.clear()
        self.fetching = None

    def describe(self, *, interrogated: bool) -> Device:
        component = Component(id=self.component, version=self.version, manufacturer_code=self.client_maker, image_type=self.image_type)
        power: Literal["mains", "battery"] = "battery" if self.sleepy else "mains"
        return Device(
            id=self.id, radio=self.radio, model=self.model, manufacturer_code=MAKER, power=power, sleepy=self.sleepy,
            battery_percent=self.battery if self.sleepy else None,
            components=(component,) if interrogated else (),
        )  # fmt: skip


@dataclass(slots=True, eq=False)
class _Talk:
    """What the radio keeps of one update."""

    order: Serve
    phase: Literal["offered", "serving", "held", "activated", "over"]
    parked: bool = False
    paused: bool = False
    away: float | None = None  # seconds for which its device is to wait until the radio is back
    back_at: float = 0.0  # when its device asks again that was told so
    pending: TransferAdvanced | None = None
    after: Callable[[], None] = field(default=lambda: None)
    patience: asyncio.TimerHandle | None = None


_PHASES: Mapping[str | None, Literal["offered", "serving", "held", "activated"]] = {
    None: "offered",
    "offering": "offered",
    "transferring": "serving",
    "staged": "held",
    "activating": "activated",
}


class ScriptedRadio:
    """Implements `ports.Radio`. `history` is shared with the store of the bench: what was committed and what left, in order."""

    def __init__(self, lamps: Mapping[DeviceId, Lamp], emit: Emit, history: list[tuple[str, object]], *, name: RadioName = ZIGBEE0) -> None:
        self.name = name
        self.lamps = {each.id: each for each in lamps.values() if each.radio == name} if len({each.radio for each in lamps.values()}) > 1 else lamps
        self.history = history
        self.orders: list[Order] = []
        self.up = False
        self.dead = False
        self.plugged = True
        self.trouble: RadioError | None = None
        self.abandoned: Callable[[], bool] = lambda: False  # another program answers, and knows nothing of what is asked for
        self.asking = 0
        self.most_asking = 0
        self.talks: dict[tuple[DeviceId, int], _Talk] = {}
        self._emit = emit
        self._tokens = itertools.count(1)
        self._lost: asyncio.Future[None] | None = None

    # --- one life ---------------------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        self._tell("starting", "opening")
        if self.trouble is not None:
            raise self.trouble
        if not self.plugged:
            raise RadioUnavailable("there is no stick")
        self._lost = asyncio.get_running_loop().create_future()
        self.up = True
        for lamp in self.lamps.values():
            self.emit(DeviceFound(device=lamp.describe(interrogated=False)))
        self._tell("up", "channel 15")
        for talk in self.talks.values():
            talk.away = None
            self._be_patient(talk)
        for lamp in self.lamps.values():
            talk = self.talks.get((lamp.id, lamp.image_type))
            if lamp.busy and not (talk is not None and self.back_in(talk.order.update)):
                self._later(_AGAIN, self._request, lamp)
            elif lamp.staged and lamp.missing:
                self._later(_AGAIN, self._ask_for_the_next, lamp)
        try:
            await self._lost
        finally:
            self.up = False
        raise RadioUnavailable("the stick was unplugged")

    def unplug(self) -> None:
        """The stick is taken away."""
        self.plugged = False
        self.drop()

    def plug_in(self) -> None:
        """The stick is back; the hub finds it when it tries again."""
        self.plugged = True

    def _tell(self, state: Literal["starting", "up"], sentence: str) -> None:
        self.emit(RadioChanged(radio=self.name, state=state, sentence=sentence))

    def drop(self) -> None:
        """The stick is gone; it comes back when the hub tries again."""
        if self._lost is not None and not self._lost.done():
            self._lost.set_result(None)

    def emit(self, event: object) -> None:
        if not self.dead:
            self._emit(event)  # type: ignore[arg-type]

    def _later(self, seconds: float, work: Callable[..., None], *arguments: object) -> None:
        def do() -> None:
            if not self.dead:
                work(*arguments)

        asyncio.get_running_loop().call_later(seconds, do)

    # --- the port ---------------------------------------------------------------------------------------------------------------------

    async def interrogate(self, device: DeviceId) -> Device:
        if not self.up:
            raise RadioUnavailable("the radio is not up")
        lamp = self.lamps.get(device)
        if lamp is None:
            raise UnknownDevice(f"no {device} here")
        lamp.interrogations += 1
        self.asking += 1
        self.most_asking = max(self.asking, self.most_asking)
        try:
            await asyncio.sleep(0.2 if lamp.there else 10.0)
        finally:
            self.asking -= 1
        if not lamp.there or lamp.busy == "rebooting":
            raise DeviceUnreachable(f"{device} does not answer")
        return lamp.describe(interrogated=True)

    async def portray(self, device: DeviceId, questions: Collection[str] | None = None) -> Portrait:
        lamp = self.lamps[device]
        if questions is None:
            questions = dict.fromkeys(each.question for each in (*lamp.set_to, *lamp.forgets))
        if not questions:
            return Portrait()
        lamp.asked += questions
        await asyncio.sleep(lamp.answers_in * len(questions))
        if not self.up:
            raise RadioUnavailable("the radio is not up")
        answered = tuple(each for each in questions if each not in lamp.unanswered and asyncio.get_running_loop().time() < lamp.down_at)
        return Portrait(answered=answered, settings=tuple(each for each in lamp.set_to if each.question in answered))

    async def restore(self, device: DeviceId, settings: Sequence[Setting]) -> None:
        lamp = self.lamps[device]
        self.history.append(("restored", tuple(settings)))
        if lamp.learns:
            places = {(each.kind, each.at) for each in settings}
            lamp.set_to = (*(each for each in lamp.set_to if (each.kind, each.at) not in places), *settings)

    def reported(self, device: DeviceId) -> float | None:
        told = self.lamps[device].reported_at
        return None if told is None else asyncio.get_running_loop().time() - told

    async def back_up(self) -> RadioBackup:
        if not self.up:
            raise RadioUnavailable("there is no stick")
        created = datetime(2026, 5, 1, tzinfo=UTC)
        return RadioBackup(radio=self.name, path=Path(f"/b/{self.name}.json"), format="x", sha256="ab" * 32, size=1, devices=1, created=created)

    async def notify(self, device: DeviceId) -> Component:
        if not self.up:
            raise RadioUnavailable("the radio is not up")
        lamp = self.lamps[device]
        lamp.notifies += 1
        await asyncio.sleep(0.5 if lamp.there and lamp.asks else 20.0)
        if not lamp.there or not lamp.asks:
            raise DeviceUnreachable(f"{device} did not ask")
        (component,) = lamp.describe(interrogated=True).components
        told = replace(component, hardware_version=lamp.hardware)
        self.emit(DeviceAsked(device=device, component=told))
        for image_type in lamp.others:
            self.ask(device, lamp.others[image_type], image_type)
        return told

    pauses = True

    async def stop(self, update: UpdateId) -> None:
        self.history.append(("stop", update))

    async def permit_joining(self, seconds: int) -> None:
        if not self.up:
            raise RadioUnavailable("the radio is not up")
        self.history.append(("open", seconds))

    def command(self, order: Order) -> None:
        if self.dead:
            return
        self.orders.append(order)
        if isinstance(order, Serve):
            self._serve(order)
            return
        key, talk = next(((key, each) for key, each in self.talks.items() if each.order.update == order.update), (None, None))
        if talk is None or key is None:
            return
        match order:
            case Park():
                talk.parked, talk.pending = True, None
            case Pause():
                talk.paused = True
            case Resume():
                talk.paused = False
            case Release():
                talk.order = replace(talk.order, released=True)
            case Withdraw():
                del self.talks[key]
            case Activate():
                talk.phase = "activated"
                self._reboot(self.lamps[order_device(talk)], talk)
        self._be_patient(talk)

    async def dismiss(self, updates: Mapping[UpdateId, float], *, within: float) -> None:
        talks = [each for each in self.talks.values() if each.order.update in updates and each.phase == "serving"]
        for each in talks:
            each.away, each.back_at = updates[each.order.update], 0.0
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                while not all(each.back_at for each in talks):
                    await asyncio.sleep(0.1)

    def back_in(self, update: UpdateId) -> float:
        now = asyncio.get_running_loop().time()
        return max((each.back_at - now for each in self.talks.values() if each.order.update == update and each.back_at > now), default=0.0)

    def committed(self, token: int) -> None:
        if self.dead:
            return
        for talk in list(self.talks.values()):
            if talk.pending is not None and talk.pending.token == token:
                self.history.append(("answered", talk.pending.causes))
                talk.pending = None
                talk.after()
                self._be_patient(talk)

    # --- sessions ---------------------------------------------------------------------------------------------------------------------

    def _serve(self, order: Serve) -> None:
        key = (order.device, order.image_type)
        before = self.talks.get(key)
        if before is not None and before.order.update == order.update and not before.parked:
            return
        talk = self.talks[key] = _Talk(order=order, phase=_PHASES[order.adopted])
        self._be_patient(talk)
        lamp = self.lamps.get(order.device)
        if order.adopted is None and lamp is not None and lamp.asks and not lamp.busy:
            self._later(1.0, self._notified, lamp, talk)

    def _be_patient(self, talk: _Talk) -> None:
        if talk.patience is not None:
            talk.patience.cancel()
        lamp = self.lamps.get(talk.order.device)
        if talk.phase not in ("offered", "serving") or talk.parked or talk.paused or talk.pending is not None or lamp is None or not self.up:
            return
        offered = talk.phase == "offered"
        seconds = (_OFFER_SLEEPY if offered else _SILENCE_SLEEPY) if lamp.sleepy else (_OFFER if offered else _SILENCE)
        talk.patience = asyncio.get_running_loop().call_later(seconds + self.back_in(talk.order.update), self._silent, talk)

    def _silent(self, talk: _Talk) -> None:
        if self.up and not self.dead:
            talk.parked = True
            self.say(talk, (Cause.EXPIRED if talk.phase == "offered" else Cause.STALLED,))

    def say(
        self, talk: _Talk, causes: tuple[Cause, ...], after: Callable[[], None] = lambda: None, *, held: bool = False, wants_more: bool = False
    ) -> None:
        """Tell until it is committed; `after` is what leaves then."""
        if talk.patience is not None:
            talk.patience.cancel()
        lamp = self.lamps[talk.order.device]
        offset = int(lamp.offset * len(talk.order.image))
        token = next(self._tokens)
        talk.pending = TransferAdvanced(
            update=talk.order.update, causes=causes, detail="scripted", token=token, offset=offset, held=held, wants_more=wants_more
        )
        talk.after = after
        self._repeat(talk, talk.pending)

    def _repeat(self, talk: _Talk, event: TransferAdvanced) -> None:
        if talk.pending is event:
            self.emit(event)
            self._later(_TOLD_AGAIN, self._repeat, talk, event)

    def forget(self, device: DeviceId) -> None:
        """The network has lost a device, and with it what was said of its updates."""
        for key in [key for key in self.talks if key[0] == device]:
            talk = self.talks.pop(key)
            talk.pending = None
            if talk.patience is not None:
                talk.patience.cancel()

    # --- what devices do --------------------------------------------------------------------------------------------------------------

    def wake(self, device: DeviceId) -> None:
        """A sleeping device checks in: it is heard, and asks for what is pinned for it."""
        lamp = self.lamps[device]
        self.emit(DeviceSeen(device=device))
        talk = self.talks.get((device, lamp.turn)) or next((each for (one, _), each in self.talks.items() if one == device), None)
        if talk is not None and not lamp.busy and lamp.asks:
            self._notified(lamp, talk)

    def finish(self, device: DeviceId) -> None:
        """A device has the whole image, now."""
        lamp = self.lamps[device]
        lamp.busy, lamp.offset = "ending", 1.0
        talk = self.talks.get((device, lamp.turn))
        if talk is not None and talk.pending is None:
            self._end(lamp, talk)

    def announce(self, device: DeviceId) -> None:
        """A device comes back to the network."""
        self.emit(DeviceSeen(device=device))
        self.emit(DeviceReturned(device=device))

    def ask(self, device: DeviceId, version: int, image_type: int | None = None) -> None:
        """A device sends Query Next Image for nothing that is pinned."""
        lamp = self.lamps[device]
        image_type = lamp.image_type if image_type is None else image_type
        component = Component(id=zigbee_component_id(image_type), version=version, manufacturer_code=lamp.client_maker, image_type=image_type)
        self.emit(DeviceAsked(device=device, component=component))

    def _notified(self, lamp: Lamp, talk: _Talk) -> None:
        """Query Next Image."""
        if talk.pending is not None or not self.up or not lamp.there or lamp.busy:
            return
        if talk.parked:
            self.emit(Knocked(update=talk.order.update))
        elif talk.phase == "offered":
            if lamp.versions.get(talk.order.image_type) == talk.order.file_version:
                self.say(talk, (Cause.ALREADY_CURRENT,))
            elif lamp.goes == "declines":
                self.say(talk, (Cause.DECLINED,))
            else:
                self.say(talk, (Cause.ACCEPTED,), lambda: self._accepted(lamp, talk))

    def _accepted(self, lamp: Lamp, talk: _Talk) -> None:
        talk.phase = "serving"
        lamp.busy, lamp.fetched, lamp.fetching = "downloading", talk.order.file_version, talk.order.image_type
        lamp.downloads += lamp.offset == 0
        self._later(lamp.seconds / _STEPS, self._request, lamp)

    def _request(self, lamp: Lamp) -> None:
        """The next block, or the end of the download, or the same again because nothing came."""
        talk = self.talks.get((lamp.id, lamp.turn))
        if not lamp.there or lamp.busy not in ("downloading", "ending"):
            return
        if not self.up and self.abandoned():
            self.history.append(("abort", lamp.id))
            lamp.busy, lamp.offset = "", 0.0
        elif not self.up or (talk is not None and talk.pending is not None):
            self._later(_AGAIN, self._request, lamp)
        elif talk is None or talk.order.file_version != lamp.fetched:
            self.history.append(("abort", lamp.id))
            lamp.busy, lamp.offset = "", 0.0
        elif talk.parked:
            self.emit(Knocked(update=talk.order.update))
            self._later(_AGAIN, self._request, lamp)
        elif talk.away is not None:
            talk.back_at = asyncio.get_running_loop().time() + talk.away
            self._later(talk.away, self._request, lamp)
        elif talk.paused:
            talk.back_at = 0.0
            self._later(60.0, self._request, lamp)
        elif talk.phase == "offered":
            self.say(talk, (Cause.ACCEPTED,), lambda: self._accepted(lamp, talk))
        else:
            talk.back_at = 0.0
            self._be_patient(talk)
            self._end(lamp, talk) if lamp.busy == "ending" else self._block(lamp, talk)

    def _block(self, lamp: Lamp, talk: _Talk) -> None:
        if lamp.goes in ("stalls", "aborts") and lamp.offset >= lamp.stops_at:
            lamp.busy = ""
            if lamp.goes == "aborts":
                talk.parked = True
                self.say(talk, (Cause.ABORTED_BY_DEVICE,))
            return
        lamp.offset = min(1.0, round(lamp.offset + 1 / _STEPS, 9))
        self.emit(TransferProgressed(update=talk.order.update, offset=int(lamp.offset * len(talk.order.image))))
        if lamp.offset >= 1.0:
            lamp.busy = "ending"
        self._later(lamp.seconds / _STEPS, self._request, lamp)

    def _end(self, lamp: Lamp, talk: _Talk) -> None:
        if lamp.goes == "rejects" or lamp.turn in lamp.rejects:
            lamp.busy, lamp.offset, talk.phase = "", 0.0, "over"
            self.say(talk, (Cause.IMAGE_REJECTED,))
        elif talk.phase == "activated" or lamp.goes == "leaves":
            self._reboot(lamp, talk)
        elif talk.phase == "held" and lamp.wants_all and len(lamp.missing) > 1:
            self._wants_more(lamp, talk)  # it was not answered, and says it again
        elif talk.phase == "serving" and lamp.wants_all and len(lamp.missing) > 1:
            self.say(talk, (Cause.TRANSFERRED,), lambda: self._wants_more(lamp, talk), wants_more=True)
            self._later(_END_AGAIN, self._request, lamp)
        elif talk.phase == "serving":
            held = talk.paused and not talk.order.hold_activation
            hold = (talk.order.hold_activation and not talk.order.released) or held
            causes = (Cause.TRANSFERRED,) if hold else (Cause.TRANSFERRED, Cause.ACTIVATED)
            asked_at = asyncio.get_running_loop().time()
            self.say(talk, causes, lambda: self._hold(lamp, talk) if hold else self._use(lamp, talk, asked_at), held=held)
            self._later(_END_AGAIN, self._request, lamp)

    def _wants_more(self, lamp: Lamp, talk: _Talk) -> None:
        """REQUIRE_MORE_IMAGE was acknowledged: it asks what there is for its next processor."""
        talk.phase, lamp.busy, lamp.offset = "held", "", 0.0
        lamp.staged[talk.order.image_type] = talk.order.file_version
        self._ask_for_the_next(lamp)

    def _ask_for_the_next(self, lamp: Lamp) -> None:
        lamp.fetching = lamp.missing[0]
        following = self.talks.get((lamp.id, lamp.fetching))
        if following is None:
            self.ask(lamp.id, lamp.versions[lamp.fetching], lamp.fetching)
        else:
            self._notified(lamp, following)

    def _hold(self, lamp: Lamp, talk: _Talk) -> None:
        talk.phase, lamp.busy = "held", ""

    def _use(self, lamp: Lamp, talk: _Talk, asked_at: float) -> None:
        talk.phase, lamp.waited = "activated", asyncio.get_running_loop().time() - asked_at
        self._reboot(lamp, talk)

    def _reboot(self, lamp: Lamp, talk: _Talk) -> None:
        """The Upgrade End Response said now."""
        if lamp.busy == "rebooting":
            return
        lamp.busy, lamp.down_at = "rebooting", asyncio.get_running_loop().time() + _GOES_DOWN_IN
        lamp.staged[talk.order.image_type] = talk.order.file_version
        if lamp.boots != "never":
            asyncio.get_running_loop().call_later(lamp.reboot, self._back, lamp)  # whatever becomes of the hub

    def _back(self, lamp: Lamp) -> None:
        lamp.busy, lamp.offset, lamp.down_at = "", 0.0, float("inf")
        if lamp.boots == "new":
            lamp.install()
            lamp.set_to = tuple(each for each in lamp.set_to if each not in lamp.forgets)
        lamp.staged.clear()
        lamp.fetching = None
        if self.up:
            self.announce(lamp.id)


def order_device(talk: _Talk) -> DeviceId:
    return talk.order.device


def orders_of(radio: ScriptedRadio, update: UpdateId) -> list[str]:
    """The names of the orders about one update."""
    return [type(order).__name__ for order in radio.orders if order.update == update]
