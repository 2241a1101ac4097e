"""A counter in memory that stands in for the engine's desk, so that the API is tested apart from radios, store and policy."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter

from otagate.engine.foresight import ComponentPlan, DevicePlan, HubPlan, OpeningPlan, Step, Turn
from otagate.engine.patches import DevicePatch, patched
from otagate.engine.views import (
    ActivationRequest,
    ActivationResult,
    ActivationView,
    AuditEntry,
    AuditFilter,
    ChainView,
    ComponentView,
    DeviceView,
    HaltView,
    Health,
    JournalFilter,
    NotifierView,
    Offer,
    OrderKey,
    OrderRequest,
    OrderResult,
    Page,
    RadioView,
    Refusal,
    RolloutRequest,
    RolloutResult,
    RolloutView,
    SourceView,
    UpdateView,
    WaveView,
    WayBack,
    WindowView,
)
from otagate.model.devices import Component, Device
from otagate.model.errors import (
    AlreadyUpdating,
    BadFilter,
    Malformed,
    NotCancellable,
    NotInState,
    OtagateError,
    PolicyRefused,
    RadioUnavailable,
    Refused,
    SourceUnavailable,
    UnknownDevice,
    UnknownImage,
    UnknownNotifier,
    UnknownRadio,
    UnknownRollout,
    UnknownSource,
    UnknownUpdate,
)
from otagate.model.facts import Fact
from otagate.model.ids import ComponentId, DeviceId, RadioName, Sha256, UpdateId
from otagate.model.images import Check, Image, ImageFacts
from otagate.model.lifecycle import State
from otagate.model.links import Link, Load
from otagate.model.portraits import Portrait
from otagate.model.releases import Release
from otagate.model.rollouts import Rollout, RolloutId, RolloutState, Selection, Tally, Wave
from otagate.model.updates import Failure, Priority, Update
from otagate.model.verdicts import Verdict
from otagate.policy.cost import cost_of
from otagate.policy.forecast import When
from otagate.policy.pace import Figure
from otagate.policy.trace import Line
from otagate.policy.window import Opening
from otagate.ports import RadioBackup
from otagate.reports.forms import FORMS, Form
from otagate.reports.key import SealKey
from otagate.reports.report import Month
from otagate.sources.records import Record, RecordPage, RecordQuery
from tests.reports.samples import sample_report

NOON = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
LAMP = DeviceId("zigbee-000d6f000a9069e7")
PLUG = DeviceId("zigbee-000d6f000a9069e8")
TYPE = ComponentId("0x1409")
IMAGE_MAGIC = b"\x1e\xf1\xee\x0b"


def release(version: int = 0x0102_0600) -> Release:
    return Release(
        source="directory",
        manufacturer_code=0x1189,
        image_type=0x1409,
        file_version=version,
        size=2000,
        sha256=Sha256("ab" * 32),
        notes="Dims better.",
    )


def given(row: Update) -> ActivationView:
    """What the word to use an image comes to: a lamp is told at once, a plug sleeps."""
    if row.device == LAMP:
        return ActivationView(update=row.id, device=row.device, outcome="activating", sentence="The device is told to use the image.")
    return ActivationView(update=row.id, device=row.device, outcome="waiting", reason="asleep", sentence="The word is given. It sleeps.")


def device(device_id: DeviceId, name: str = "Lamp") -> Device:
    component = Component(id=TYPE, version=0x0102_0509, manufacturer_code=0x1189, image_type=0x1409)
    return Device(
        id=device_id,
        radio=RadioName("zigbee0"),
        name=name,
        manufacturer="LEDVANCE",
        model="LCT001",
        last_seen=NOON,
        last_checked=NOON,
        components=(component,),
    )


def update(number: int, device_id: DeviceId = LAMP, state: State = State.QUEUED, **changes: object) -> Update:
    made = Update(
        id=UpdateId(f"u{number:04d}"),
        device=device_id,
        component=TYPE,
        radio=RadioName("zigbee0"),
        manufacturer_code=0x1189,
        image_type=0x1409,
        from_version=0x0102_0509,
        to_version=0x0102_0600,
        source="directory",
        image=Sha256("ab" * 32),
        state=state,
        bytes_total=2000,
        created=NOON + timedelta(seconds=number),
        actor="token:admin",
    )
    return replace(made, **changes)


def view(of: Update, *, sent: int | None = None, rate: float | None = None) -> UpdateView:
    bytes_sent = of.bytes_sent if sent is None else sent
    return UpdateView(update=of, bytes_sent=bytes_sent, bytes_per_second=rate, eta_seconds=None if not rate else (of.bytes_total - bytes_sent) / rate)


def rollout(number: int, devices: tuple[DeviceId, ...] = (LAMP, PLUG), **changes: object) -> RolloutView:
    request = RolloutRequest(name=f"lamps {number}", select=Selection(model="LCT*"))
    return RolloutView(
        rollout=replace(
            Rollout(
                id=RolloutId(f"r{number:06d}"),
                name=request.name,
                select=request.select,
                version=None,
                waves=(Wave(plan=request.waves[0], devices=devices, opened=NOON),),
                state=RolloutState.RUNNING,
                sentence="Wave 1 is under way.",
                actor="token:admin",
                created=NOON,
            ),
            **changes,
        ),
        waves=(WaveView(wave=Wave(plan=request.waves[0], devices=devices, opened=NOON), state="running", tally=Tally(pending=len(devices))),),
    )


class Counterfoil:
    """Implements `otagate.api.desk.Desk`. What was ordered is in `orders`; errors to raise are put into `trouble` by method name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.known: dict[DeviceId, Device] = {LAMP: device(LAMP), PLUG: device(PLUG, "Plug")}
        self.jobs: dict[UpdateId, Update] = {}
        self.stored: dict[Sha256, Image] = {}
        self.campaigns: dict[RolloutId, RolloutView] = {}
        self.facts: list[Fact] = []
        self.halt_view: HaltView | None = None
        self.links: dict[DeviceId, Link] = {}
        self.load: Load | None = None
        self.radio_pause: HaltView | None = None
        self.source_views = [SourceView(name="directory", type="directory", state="ok", sentence="12 images", last_success=NOON, releases=12)]
        self.replay = False
        self.keys: list[OrderKey | None] = []
        self.receiver: str | None = None
        self.portraits: dict[UpdateId, Portrait] = {}
        self.broker: str | None = None
        self.orders: list[tuple[str, object, str]] = []
        self.trouble: dict[str, BaseException] = {}
        self.ready = True
        self.check_gate = asyncio.Event()
        self.check_gate.set()
        self.changed = asyncio.Condition()
        self.live_views: asyncio.Queue[UpdateView] = asyncio.Queue()
        self.stopped = False
        self.readers = 0
        self.reads = 0
        self.registry = CollectorRegistry()
        Counter("otagate_updates_finished", "Updates that ended.", registry=self.registry).inc(3)

    def _note(self, what: str, subject: object, actor: str) -> None:
        self.orders.append((what, subject, actor))
        if what in self.trouble:
            raise self.trouble[what]

    async def record(
        self, subject: str, subject_id: str, kind: str = "state", data: dict[str, object] | None = None, *, actor: str = "otagate"
    ) -> Fact:
        """Append to the journal and wake its readers."""
        fact = Fact(at=NOON, subject=subject, subject_id=subject_id, kind=kind, actor=actor, data=data or {}, number=len(self.facts) + 1)
        async with self.changed:
            self.facts.append(fact)
            self.changed.notify_all()
        return fact

    async def devices(
        self,
        *,
        radio: str | None = None,
        protocol: str | None = None,
        update_status: str | None = None,
        q: str | None = None,
        limit: int = 100,
        after: str = "",
    ) -> Page[DeviceView]:
        if "devices" in self.trouble:
            raise self.trouble["devices"]
        views = [self._device_view(each) for each in sorted(self.known.values(), key=lambda each: each.id)]
        views = [
            each
            for each in views
            if radio in {None, each.device.radio}
            and protocol in {None, each.device.protocol}
            and update_status in {None, each.update_status}
            and (q or "").lower() in f"{each.device.id} {each.device.name}".lower()
            and each.device.id > after
        ]
        return Page(items=views[:limit], last=views[limit - 1].device.id if len(views) > limit else None)

    def _device_view(self, of: Device) -> DeviceView:
        running = next((each.id for each in self.jobs.values() if each.device == of.id and not each.ended), None)
        components = tuple(ComponentView(component=each, available=release(), update=running) for each in of.components)
        return DeviceView(device=of, update_status="updating" if running else "available", components=components, link=self.links.get(of.id))

    async def device(self, device_id: DeviceId) -> DeviceView:
        if device_id not in self.known:
            raise UnknownDevice(f"no device has the id {device_id!r}")
        view = self._device_view(self.known[device_id])
        back = WayBack(sentence="It can go back to 0x01010000, which it proved before.", version=0x0101_0000, image=Sha256("ab" * 32))
        return replace(view, components=tuple(replace(each, back=back) for each in view.components))

    async def offers(self, device_id: DeviceId) -> Sequence[Offer]:
        old = Verdict(decision="refuse", sentence="older than what the device runs", reason=None, facts={"installed": 0x0102_0509})
        return [
            Offer(component=TYPE, release=release(), verdict=Verdict(decision="allow", sentence="newer and fitting")),
            Offer(component=TYPE, release=release(0x0101_0000), verdict=old),
        ]

    async def check(self, device_id: DeviceId, *, actor: str) -> DeviceView:
        self._note("check", device_id, actor)
        found = await self.device(device_id)
        await self.check_gate.wait()
        return found

    async def amend(self, device_id: DeviceId, patch: DevicePatch, *, actor: str) -> DeviceView:
        self._note("amend", patch, actor)
        await self.device(device_id)
        self.known[device_id] = patched(self.known[device_id], patch)
        return await self.device(device_id)

    async def plan(self, device_id: DeviceId) -> DevicePlan:
        if "plan" in self.trouble:
            raise self.trouble["plan"]
        view = await self.device(device_id)
        rules = (
            Line(rule="pin", outcome="pass", sentence="The device is pinned to no other version.", facts={"pin": None}),
            Line(rule="window", outcome="wait", sentence="No window is open for it.", reason="window_closed", decides=True),
        )
        begins = NOON + timedelta(hours=13)
        when = When(kind="window", sentence="When the window night opens.", begins=begins, ends=begins + timedelta(minutes=6), window="night")
        planned = ComponentPlan(
            component=view.device.components[0],
            outcome="waits",
            sentence="No window is open for it.",
            reason="window_closed",
            release=release(),
            steps=[Step(component=view.device.components[0], release=release())],
            when=when,
            cost=cost_of(2000, TYPE, view.device),
            minutes=Figure(value=5.2),
            rules=rules,
        )
        return DevicePlan(device=view.device, components=[planned])

    async def plans(self, *, limit: int = 100, after: str = "", openings: int = 7) -> HubPlan:
        page = await self.devices(limit=limit, after=after)
        items = [await self.plan(each.device.id) for each in page.items]
        night = Opening(window="night", begins=NOON + timedelta(hours=13), ends=NOON + timedelta(hours=17))
        turns = [Turn(device=each.device.id, component=TYPE, update=None, begins=night.begins) for each in items]
        return HubPlan(page=Page(items=items, last=page.last), openings=None if after else [OpeningPlan(opening=night, turns=turns, airtime=1.5)])

    def forecast(self, drafts: Sequence[Update]) -> Sequence[ComponentPlan]:
        when = When(kind="now", sentence="Now.", begins=NOON)
        component = Component(id=TYPE, version=0x0102_0509)
        return [ComponentPlan(component=component, outcome="begins", sentence="Now.", reason=None, when=when, release=release()) for _ in drafts]

    async def updates(
        self,
        *,
        states: frozenset[State] | None = None,
        device: DeviceId | None = None,
        rollout: RolloutId | None = None,
        limit: int = 100,
        before: UpdateId | None = None,
    ) -> Page[UpdateView]:
        if "updates" in self.trouble:
            raise self.trouble["updates"]
        found = [each for each in reversed(self.jobs.values()) if (states is None or each.state in states) and device in {None, each.device}]
        found = [each for each in found if rollout in {None, each.rollout}]
        found = [each for each in found if before is None or each.id < before]
        return Page(items=[view(each) for each in found[:limit]], last=found[limit - 1].id if len(found) > limit else None)

    async def update(self, update_id: UpdateId) -> UpdateView:
        self.reads += 1
        if update_id not in self.jobs:
            raise UnknownUpdate(f"no update has the id {update_id!r}")
        return view(self.jobs[update_id])

    async def log(self, update_id: UpdateId, *, limit: int = 500, after: int = 0) -> Page[Fact]:
        if update_id not in self.jobs:
            raise UnknownUpdate(f"no update has the id {update_id!r}")
        found = [each for each in self.facts if each.subject_id == update_id and each.number > after]
        return Page(items=found[:limit], last=str(found[limit - 1].number) if len(found) > limit else None)

    async def portrait(self, update_id: UpdateId) -> Portrait:
        return self.portraits.get((await self.update(update_id)).update.id, Portrait())

    async def journal(self, wanted: JournalFilter, *, limit: int = 100, before: int | None = None) -> Page[Fact]:
        found = [
            each
            for each in reversed(self.facts)
            if wanted.fits(each)
            and wanted.subject in {None, each.subject}
            and wanted.subject_id in {None, each.subject_id}
            and (before is None or each.number < before)
        ]
        return Page(items=found[:limit], last=str(found[limit - 1].number) if len(found) > limit else None)

    async def verify_chain(self) -> ChainView:
        if "verify_chain" in self.trouble:
            raise self.trouble["verify_chain"]
        broken = 2 if "verify" in self.trouble else None
        last = len(self.facts) if broken is None else 1
        sentence = "The chain holds." if broken is None else "The chain breaks at fact 2."
        return ChainView(holds=broken is None, sentence=sentence, first=1, last=last, chain="ab" * 32, broken=broken)

    async def audit(self, wanted: AuditFilter) -> AsyncIterator[AuditEntry]:
        if "audit" in self.trouble:
            raise self.trouble["audit"]
        for each in reversed(self.jobs.values()):
            if each.ended and wanted.device in {None, each.device} and wanted.fits(each):
                yield AuditEntry(update=each, ended_by="otagate", retries=2, number=7, chain="cd" * 32)
                if "audit later" in self.trouble:
                    raise self.trouble["audit later"]

    async def report(self, month: Month, form: Form) -> bytes:
        if month > sample_report().month:
            raise BadFilter(f"the month {month} has not begun")
        key = SealKey(self.folder / "report-key.pem")
        return key.seal(FORMS[form].write(sample_report(), key.public()), FORMS[form].frame)

    async def report_key(self) -> str:
        return SealKey(self.folder / "report-key.pem").public()

    def windows(self) -> Sequence[WindowView]:
        opening = Opening(window="night", begins=NOON, ends=NOON + timedelta(hours=4), at_end="pause")
        return [WindowView(name="night", open=True, openings=(opening,))]

    def halted(self) -> HaltView | None:
        return self.halt_view

    async def halt(self, *, actor: str, because: str | None = None) -> HaltView:
        self._note("halt", because, actor)
        self.halt_view = self.halt_view or HaltView(since=NOON, actor=actor, because=because)
        return self.halt_view

    async def lift_halt(self, *, actor: str) -> None:
        self._note("lift_halt", None, actor)
        self.halt_view = None

    async def order(self, request: OrderRequest, *, actor: str, key: OrderKey | None = None) -> OrderResult:
        self._note("order", request, actor)
        self.keys.append(key)
        made, refused = [], []
        for each in request.devices if request.select is None else self.known:
            if (error := self._objection(each)) is not None:
                refused.append(Refusal(device=each, error=error, reason="cooldown" if isinstance(error, PolicyRefused) else None))
                continue
            new = update(len(self.jobs) + len(made) + 1, each, actor=actor)
            made.append(new)
        if not request.dry_run:
            self.jobs |= {each.id: each for each in made}
        return OrderResult(updates=tuple(view(each) for each in made), refused=tuple(refused), replayed=self.replay)

    def _objection(self, device_id: DeviceId) -> OtagateError | None:
        if device_id not in self.known:
            return UnknownDevice(f"no device has the id {device_id!r}")
        if any(each.device == device_id and not each.ended for each in self.jobs.values()):
            return AlreadyUpdating("an update of 0x1409 is under way")
        return PolicyRefused("the release is two days old; policy waits fourteen") if self.known[device_id].name == "Young" else None

    async def _act(self, verb: str, update_id: UpdateId, actor: str, **changes: object) -> UpdateView:
        self._note(verb, update_id, actor)
        found = (await self.update(update_id)).update
        self.jobs[update_id] = replace(found, **changes)
        return view(self.jobs[update_id])

    async def cancel(self, update_id: UpdateId, *, actor: str) -> UpdateView:
        if (await self.update(update_id)).update.state is State.ACTIVATING:
            raise NotCancellable("the device has the order to use the image")
        return await self._act("cancel", update_id, actor, state=State.CANCELLED)

    async def pause(self, update_id: UpdateId, *, actor: str) -> UpdateView:
        return await self._act("pause", update_id, actor, reason="paused")

    async def resume(self, update_id: UpdateId, *, actor: str) -> UpdateView:
        return await self._act("resume", update_id, actor, reason=None)

    async def retry(self, update_id: UpdateId, *, actor: str) -> UpdateView:
        self._note("retry", update_id, actor)
        old = (await self.update(update_id)).update
        if not old.ended:
            raise NotInState("only an update that ended can be tried again")
        new = update(len(self.jobs) + 1, old.device)
        self.jobs[new.id] = new
        return view(new)

    async def prioritize(self, update_id: UpdateId, priority: Priority, *, actor: str) -> UpdateView:
        return await self._act("prioritize", update_id, actor, priority=priority)

    async def approve(self, update_id: UpdateId, *, actor: str) -> UpdateView:
        return await self._act("approve", update_id, actor, state=State.QUEUED)

    async def activate_all(self, request: ActivationRequest, *, actor: str) -> ActivationResult:
        self._note("activate_all", request, actor)
        if not request.updates and request.group != "hall":
            raise Refused(f"No device is in the group {request.group!r}.", code="nothing-to-do", reason=None)
        meant = request.updates or tuple(each.id for each in self.jobs.values())
        refused = tuple((each, UnknownUpdate(f"no update has the id {each!r}")) for each in meant if each not in self.jobs)
        return ActivationResult(given=tuple(given(self.jobs[each]) for each in meant if each in self.jobs), refused=refused)

    async def activate(self, update_id: UpdateId, *, actor: str) -> UpdateView:
        return await self._act("activate", update_id, actor, state=State.ACTIVATING)

    def rollouts(self) -> Sequence[RolloutView]:
        return list(self.campaigns.values())[::-1]

    def rollout(self, rollout_id: RolloutId) -> RolloutView:
        if rollout_id not in self.campaigns:
            raise UnknownRollout(f"no rollout has the id {rollout_id!r}")
        return self.campaigns[rollout_id]

    async def order_rollout(self, request: RolloutRequest, *, actor: str) -> RolloutResult:
        self._note("order_rollout", request, actor)
        made = rollout(len(self.campaigns) + 1, name=request.name, select=request.select)
        if not request.dry_run:
            self.campaigns[made.rollout.id] = made
        refused = [Refusal(device=each, error=UnknownDevice("no such device")) for each in request.select.devices or () if each not in self.known]
        return RolloutResult(rollout=made, refused=tuple(refused))

    async def _steer(self, verb: str, rollout_id: RolloutId, actor: str, state: RolloutState) -> RolloutView:
        self._note(verb, rollout_id, actor)
        found = self.rollout(rollout_id)
        if found.rollout.state.ended:
            raise NotInState(f"rollout {rollout_id} is {found.rollout.state}")
        self.campaigns[rollout_id] = replace(found, rollout=replace(found.rollout, state=state))
        return self.campaigns[rollout_id]

    async def pause_rollout(self, rollout_id: RolloutId, *, actor: str) -> RolloutView:
        return await self._steer("pause_rollout", rollout_id, actor, RolloutState.PAUSED)

    async def resume_rollout(self, rollout_id: RolloutId, *, actor: str) -> RolloutView:
        return await self._steer("resume_rollout", rollout_id, actor, RolloutState.RUNNING)

    async def halt_rollout(self, rollout_id: RolloutId, *, actor: str) -> RolloutView:
        return await self._steer("halt_rollout", rollout_id, actor, RolloutState.HALTED)

    async def approve_rollout(self, rollout_id: RolloutId, *, actor: str) -> RolloutView:
        return await self._steer("approve_rollout", rollout_id, actor, RolloutState.RUNNING)

    async def cancel_rollout(self, rollout_id: RolloutId, *, actor: str) -> RolloutView:
        return await self._steer("cancel_rollout", rollout_id, actor, RolloutState.STOPPED)

    async def images(self) -> Sequence[Image]:
        return list(self.stored.values())

    async def image(self, sha256: Sha256) -> Image:
        if sha256 not in self.stored:
            raise UnknownImage("no image has this sha256")
        return self.stored[sha256]

    async def add_image(self, data: bytes, *, file_name: str, actor: str) -> Image:
        self._note("add_image", file_name, actor)
        image = await self.inspect_image(data, file_name=file_name)
        (self.folder / image.sha256).write_bytes(data)
        self.stored[image.sha256] = image
        return image

    async def inspect_image(self, data: bytes, *, file_name: str) -> Image:
        if not data.startswith(IMAGE_MAGIC):
            raise Malformed("upgrade file identifier at byte 0 is not 0x0BEEF11E")
        sha256 = Sha256(hashlib.sha256(data).hexdigest())
        told = ImageFacts(
            format="zigbee-ota",
            size=len(data),
            manufacturer_code=0x1189,
            image_type=0x1409,
            file_version=0x0102_0600,
            stack_version=2,
            header_string="A19 RGBW",
            inner_format="silabs-gbl",
            checks=(Check(name="header", result="pass", detail="every length fits"),),
        )
        return Image(sha256=sha256, file_name=file_name, facts=told, added=NOON)

    async def image_path(self, sha256: Sha256) -> Path:
        await self.image(sha256)
        return self.folder / sha256

    async def remove_image(self, sha256: Sha256, *, actor: str) -> None:
        self._note("remove_image", sha256, actor)
        await self.image(sha256)
        del self.stored[sha256]

    def radios(self) -> Sequence[RadioView]:
        state = "up" if self.ready else "in_use"
        view = RadioView(name="zigbee0", type="ezsp", state=state, sentence="ready for 2 devices", devices=2, transfers=0, parallel=2)
        return [replace(view, paused=self.radio_pause, load=self.load)]

    async def permit_join(self, radio: str, seconds: int, *, actor: str) -> None:
        self._note("permit_join", (radio, seconds), actor)
        if radio != "zigbee0":
            raise UnknownRadio(f"no radio is named {radio!r}")
        if not self.ready:
            raise RadioUnavailable("zigbee0 is not up")

    async def back_up(self, radio: str, *, actor: str) -> RadioBackup:
        self._note("back_up", radio, actor)
        if radio != "zigbee0":
            raise UnknownRadio(f"no radio is named {radio!r}")
        path = self.folder / "backups" / "zigbee0-20260501T120000Z.json"
        return RadioBackup(radio=RadioName(radio), path=path, format="open-coordinator-backup", sha256="cd" * 32, size=2_000, devices=2, created=NOON)

    async def pause_radio(self, radio: str, *, actor: str, because: str | None = None) -> RadioView:
        return self._turn_radio("pause_radio", radio, actor, HaltView(since=NOON, actor=actor, because=because))

    async def resume_radio(self, radio: str, *, actor: str) -> RadioView:
        return self._turn_radio("resume_radio", radio, actor, None)

    def _turn_radio(self, what: str, radio: str, actor: str, pause: HaltView | None) -> RadioView:
        self._note(what, radio, actor)
        if radio != "zigbee0":
            raise UnknownRadio(f"no radio is named {radio!r}")
        self.radio_pause = pause
        return self.radios()[0]

    async def reattach(self, radio: str, *, actor: str) -> None:
        self._note("reattach", radio, actor)
        if radio != "zigbee0":
            raise UnknownRadio(f"no radio is named {radio!r}")

    async def sources(self) -> Sequence[SourceView]:
        return self.source_views

    async def refresh(self, source: str, *, actor: str, room_id: str | None = None) -> SourceView:
        self._note("refresh", source if room_id is None else (source, room_id), actor)
        for each in self.source_views:
            if each.name == source:
                return each
        raise UnknownSource(f"no source is named {source!r}")

    def notifiers(self) -> Sequence[NotifierView]:
        return [NotifierView(name="office", type="webhook", severity="warning", trouble=self.receiver, waiting=2, last_delivered=NOON)]

    async def test_notifier(self, name: str, *, actor: str) -> NotifierView:
        self._note("test_notifier", name, actor)
        if name != "office":
            raise UnknownNotifier(f"there is no receiver {name!r}")
        if self.receiver is not None:
            raise SourceUnavailable(self.receiver)
        return self.notifiers()[0]

    async def records(self, source: str, query: RecordQuery) -> RecordPage:
        if source != "directory":
            raise UnknownSource(f"no source is named {source!r}")
        if unknown := sorted(set(query.filters) - {"list"}):
            raise BadFilter(f"there is no filter {unknown[0]!r}: use list")
        record = Record(device="tuya-vdev1", name="Lamp", status="updated", version="1.0.1", at=NOON, details={"room": "Hall"})
        return RecordPage(items=(record,), after=query.offset + query.limit if query.offset == 0 else None)

    async def health(self) -> Health:
        return Health(ready=self.ready, store="open", radios=tuple(self.radios()), broker=self.broker)

    @property
    def metrics(self) -> CollectorRegistry:
        return self.registry

    async def events(self, *, after: int | None = None) -> AsyncIterator[Fact]:
        number = len(self.facts) if after is None else after
        self.readers += 1
        try:
            while True:
                async with self.changed:
                    await self.changed.wait_for(lambda known=number: self.stopped or len(self.facts) > known)
                    fresh = self.facts[number:]
                for fact in fresh:
                    number = fact.number
                    yield fact
                if self.stopped:
                    return
        finally:
            self.readers -= 1

    async def live(self) -> AsyncIterator[UpdateView]:
        while True:
            yield await self.live_views.get()


def failed(number: int) -> Update:
    return update(number, state=State.FAILED, error=Failure(code="transfer-stalled", detail="no block was asked for in 15 minutes"))
