"""What is pressed in Home Assistant, carried out one after another, with the rights that whoever may publish at the broker has."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from otagate.engine.desk import Desk
from otagate.engine.patches import DevicePatch, PolicyPatch
from otagate.engine.supervise import outcome
from otagate.engine.views import DeviceView, Offer, OrderRequest
from otagate.homeassistant.discovery import CHOICES, NEWEST
from otagate.homeassistant.targets import Targets
from otagate.model.devices import Device
from otagate.model.errors import OtagateError
from otagate.model.ids import ComponentId, DeviceId
from otagate.model.versions import Version, display_version
from otagate.ports import Message

LOG = structlog.get_logger("otagate.homeassistant")

ACTOR = "mqtt"
_ORDERS = 64
_CHECK = 20.0
_LONGEST = 64
_SCOPES = {"approve": "approve"}
"""The scope that an order wants, where it is not `operate`: as the API's calls do."""


@dataclass(slots=True, kw_only=True)
class Orders:
    """Orders on the topics below `base`. `changed` hears of every device that something was ordered for."""

    desk: Desk
    base: str
    scopes: Collection[str]
    automatic: Callable[[Device], bool]
    targets: Targets
    changed: Callable[[DeviceId], None] = field(default=lambda _: None, init=False)
    said: dict[DeviceId, str] = field(default_factory=dict, init=False)
    _waiting: asyncio.Queue[Message] = field(default_factory=lambda: asyncio.Queue(_ORDERS), init=False)

    @property
    def topic(self) -> str:
        """What every order's topic begins with."""
        return f"{self.base}/orders/"

    def take(self, message: Message) -> None:
        """Put an order in line. One that the broker keeps is none: it would be carried out again at every start."""
        if message.retained or self._waiting.full():
            LOG.warning("an order over MQTT is not carried out", topic=message.topic[:200], why="retained" if message.retained else "too many")
        else:
            self._waiting.put_nowait(message)

    @property
    def waiting(self) -> int:
        """Orders that are not carried out yet."""
        return self._waiting.qsize()

    async def obey(self) -> None:
        """Carry out orders, one after another, for ever."""
        while True:
            ordered = await self._waiting.get()
            device, what, *more = [*ordered.topic.removeprefix(self.topic).split("/", 2), "", ""]
            error = await outcome(self._carry_out(DeviceId(device), what, ComponentId(more[0]), ordered.payload), what="an order over MQTT")
            if error is not None:
                LOG.warning("an order over MQTT was refused", device=device[:80], order=what[:20], why=str(error))

    async def _carry_out(self, device: DeviceId, what: str, component: ComponentId, payload: bytes) -> None:
        view = await self.desk.device(device)
        try:
            await self._do(view, what, component, payload)
        except OtagateError as error:
            self.said[device] = f"{what[:20]} was refused: {error}"
            raise
        else:
            self.said[device] = f"{what} was taken"
        finally:
            self.changed(device)

    async def _do(self, view: DeviceView, what: str, component: ComponentId, payload: bytes) -> None:
        device = view.device.id
        needed = _SCOPES.get(what, "operate")
        if needed not in self.scopes:
            raise OtagateError(f"nobody may do this over MQTT: mqtt.scopes does not have {needed}")
        if len(payload) > _LONGEST:
            raise OtagateError("the message is too long to be an order")
        match what, payload:
            case "install", b"INSTALL":
                await self._install(view, component)
            case "target", _:
                await self._choose(device, component, payload.decode(errors="replace"))
            case "check", b"PRESS":
                async with asyncio.timeout(_CHECK):  # the check itself goes on
                    await self.desk.check(device, actor=ACTOR)
            case "cancel" | "approve", b"PRESS":
                await self._act(view, what)
            case "automatic", b"ON" | b"OFF":
                await self._automate(view.device, wanted=payload == b"ON")
            case _:
                raise OtagateError("nobody knows this order")

    async def _act(self, view: DeviceView, what: str) -> None:
        """Of every component, whatever becomes of the others. Raises where one cannot be cancelled, and where none can be approved."""
        act = self.desk.cancel if what == "cancel" else self.desk.approve
        updates = [each.update for each in view.components if each.update is not None]
        refused: list[OtagateError] = []
        for update in updates:
            try:
                await act(update, actor=ACTOR)
            except OtagateError as error:
                refused.append(error)
        if refused and (what == "cancel" or len(refused) == len(updates)):
            raise refused[0]

    async def _automate(self, device: Device, *, wanted: bool) -> None:
        if self.automatic(device) != wanted:
            await self.desk.amend(device.id, DevicePatch(policy=PolicyPatch(default="automatic" if wanted else "ask")), actor=ACTOR)

    # --- versions -----------------------------------------------------------------------------------------------------------------------

    async def choices(self, device: DeviceId) -> Mapping[ComponentId, Mapping[str, Version]]:
        """The versions that may be ordered of each component, by how people write them, newest first. Raises UnknownDevice."""
        found: dict[ComponentId, dict[str, Version]] = {}
        for offer in await self.desk.offers(device) if "operate" in self.scopes else ():
            of_component = found.setdefault(offer.component, {})
            version = offer.release.file_version
            if version is not None and len(of_component) < CHOICES and self._may_be_ordered(offer):
                of_component.setdefault(offer.release.display_version, version)
        return found

    def _may_be_ordered(self, offer: Offer) -> bool:
        back = offer.verdict.code == "downgrade-refused" and "downgrade" in self.scopes
        return offer.verdict.decision != "refuse" or back

    async def _choose(self, device: DeviceId, component: ComponentId, version: str) -> None:
        if version != NEWEST:
            known = (await self.choices(device)).get(component, {})
            if version not in known:
                raise OtagateError(f"there is no such version to choose: {_listed(list(known))}")
        await self.targets.put(device, component, None if version == NEWEST else version)

    async def _install(self, view: DeviceView, component: ComponentId) -> None:
        device = view.device.id
        version = await self._wanted(view, component)
        request = OrderRequest(
            devices=(device,), component=component, version=version, allow_downgrade=version is not None and "downgrade" in self.scopes
        )
        result = await self.desk.order(request, actor=ACTOR)
        if result.refused:
            raise result.refused[0].error
        await self.targets.put(device, component, None)

    async def _wanted(self, view: DeviceView, component: ComponentId) -> Version | None:
        """The version that Install brings, None for the newest. One that was chosen is never replaced by another."""
        chosen = open_targets(view, await self.targets.of(view.device.id)).get(component)
        if chosen is None:
            return None
        known = (await self.choices(view.device.id)).get(component, {})
        if chosen not in known:
            raise OtagateError(f"{chosen}, which was chosen, cannot be installed now: {_listed(list(known))}")
        return known[chosen]


def open_targets(view: DeviceView, chosen: Mapping[ComponentId, str]) -> Mapping[ComponentId, str]:
    """What was chosen for the components of a device, without what they run already."""
    runs = {each.component.id: each.component.version for each in view.components}
    return {part: version for part, version in chosen.items() if (now := runs.get(part)) is None or display_version(now) != version}


def _listed(versions: Sequence[str]) -> str:
    return f"there are {', '.join(versions)}" if versions else "there is none"
