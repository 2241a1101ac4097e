"""Sessions of one Z-Wave controller: orders and the driver's words go to them, and what they want done is done here, each in a task of its own.

Sessions live as long as this object; the driver and the connection to it come and go.
"""

from __future__ import annotations

import asyncio
import base64
import io
import itertools
import zipfile
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Protocol

import structlog

from otagate.model.errors import NotCancellable, RadioError, RadioUnavailable, UnknownDevice
from otagate.model.ids import DeviceId, UpdateId, node_id_of, target_of
from otagate.model.orders import Activate, Order, Park, Pause, Release, Resume, Send, Serve, Watch, Withdraw
from otagate.ports import Clock, Emit, ForeignTransfer, Knocked, TransferProgressed
from otagate.radios.advances import as_event
from otagate.radios.recent import Recent
from otagate.radios.zwave_line import CommandRefused, ZwaveLine
from otagate.radios.zwave_nodes import Metadata
from otagate.sessions import zwave_words as words
from otagate.sessions.effects import Advance
from otagate.sessions.zwave import Phase, Transfer
from otagate.sessions.zwave_outcomes import DONE_RESTARTS, UNPACKED_SINCE, crc16
from otagate.sessions.zwave_patience import Patience

LOG = structlog.get_logger("otagate.radio")

_KNOCK_EVERY = 5.0
_AFTERMATH = 3.0
"""Seconds in which what is told of a node may still be told of the transfer that ended there: the driver's last progress comes late."""

_ACTIVATE_WITHIN = 60.0
_LONGEST_WAIT = 0xFFFF + 30
"""Seconds: what a node can announce (Firmware Update Meta Data CC, Status Report: 16 bits), and what the driver adds."""
_RESTART = 5.0
"""Seconds until a node is expected back that does not tell how long it takes: what the driver allows, too."""


Work = Callable[[UpdateId, ZwaveLine], Coroutine[Any, Any, words.Event | None]]
"""What is asked of the driver, and what it tells the session."""


class Nodes(Protocol):
    """What sessions need of the nodes."""

    async def prepare(self, device: DeviceId, target: int) -> tuple[words.Prepared, Metadata | None]:
        """Ask a node for its metadata and a version, now. Raises RadioError, UnknownDevice."""

    def rest(self, device: DeviceId, seconds: float) -> None:
        """Leave a node alone for a while."""

    def sleeps(self, device: DeviceId) -> bool:
        """Whether it is a sleeping node."""


class Transfers:
    """Every session of one controller."""

    def __init__(self, *, nodes: Nodes, emit: Emit, clock: Clock, patience: Patience) -> None:
        self._nodes = nodes
        self._emit = emit
        self._clock = clock
        self._patience = patience
        self._tokens = itertools.count(1)
        self._sessions: dict[UpdateId, Transfer] = {}
        self._devices: dict[UpdateId, DeviceId] = {}
        self._parked: set[UpdateId] = set()
        self._knocked = Recent[UpdateId](clock, _KNOCK_EVERY)
        self._foreign = Recent[DeviceId](clock, _KNOCK_EVERY)
        self._ended = Recent[DeviceId](clock, _AFTERMATH)
        self._changed = asyncio.Event()
        self._line: ZwaveLine | None = None
        self._tasks: asyncio.TaskGroup | None = None

    # --- the connection -----------------------------------------------------------------------------------------------------------------

    def connect(self, line: ZwaveLine, tasks: asyncio.TaskGroup) -> None:
        """The driver can be asked from now on; `tasks` ends with the connection."""
        self._line, self._tasks = line, tasks
        self._all(words.Connected())

    def lose(self) -> None:
        """The driver cannot be asked any more, and what it does is not known."""
        self._line = self._tasks = None
        self._all(words.Lost())

    def tick(self) -> None:
        """Time has passed."""
        self._all(words.Tick())
        self._sweep()

    def _all(self, event: words.Event) -> None:
        for update in list(self._sessions):
            self._feed(update, event)

    # --- orders -------------------------------------------------------------------------------------------------------------------------

    def command(self, order: Order) -> None:
        """Hand an order to the session of its update."""
        now = self._clock.monotonic()
        session = self._sessions.get(order.update)
        match order:
            case Send() | Watch():
                self._open(order)
            case Park() if session is not None:
                self._park(order.update, session)
            case Withdraw() if session is not None:
                self._perform(order.update, session.withdraw(now))
            case Pause() if session is not None:
                session.pause()
            case Resume() if session is not None:
                self._perform(order.update, session.resume(now))
            case Release() if session is not None:
                session.release()
            case Activate() if session is not None:
                self._perform(order.update, session.activate(now))
            case Serve():
                LOG.error("a Zigbee order for a Z-Wave radio", update=order.update)
        self._sweep()

    def _open(self, order: Send | Watch) -> None:
        """A session that stands is the same session: the driver may be at it."""
        self._parked.discard(order.update)
        session = self._sessions.get(order.update)
        if session is not None and not session.over:
            return
        send = order if isinstance(order, Send) else None
        adopted = "transferring" if send is None else send.adopted
        sleepy = self._nodes.sleeps(order.device)
        now = self._clock.monotonic()
        self._devices[order.update] = order.device
        self._sessions[order.update] = Transfer(
            order.update, tokens=self._tokens, patience=self._patience, now=now, order=send, adopted=adopted, sleepy=sleepy
        )
        if self._line is not None:
            self._feed(order.update, words.Connected())

    def _park(self, update: UpdateId, session: Transfer) -> None:
        """It waits for its turn again. What the driver has in hand cannot wait; it knocks when it moves."""
        session.forget()
        if not session.over:
            self._parked.add(update)

    def committed(self, token: int) -> None:
        """What was told with this token is on disk."""
        now = self._clock.monotonic()
        for update, session in list(self._sessions.items()):
            self._perform(update, session.committed(token, now))
        self._sweep()

    async def stop(self, update: UpdateId) -> None:
        """See `ports.Radio.stop`."""
        session = self._sessions.get(update)
        if session is None:
            return
        self._perform(update, session.stop(self._clock.monotonic()))
        try:
            async with asyncio.timeout(self._patience.stop):
                while session.stopping:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            if session.phase is Phase.REQUESTED:
                return  # it has not begun: the driver waits for the node, and breaks it off when that wakes up
            raise RadioUnavailable("the driver was told to stop the transfer and has not stopped yet; the update is cancelled when it has") from None
        if session.phase is Phase.RECALLING:
            raise RadioUnavailable("the connection was lost before the driver told whether it stopped the transfer")
        if session.phase is not Phase.STOPPED:
            raise NotCancellable("the node had the whole image already")

    def _sweep(self) -> None:
        for update in [each for each, session in self._sessions.items() if session.over]:
            del self._sessions[update]
            del self._devices[update]
            self._parked.discard(update)
            self._knocked.discard(update)
        self._changed.set()

    # --- what the driver tells ----------------------------------------------------------------------------------------------------------

    def progressed(self, device: DeviceId, progress: Mapping[str, Any]) -> None:
        """A node was sent fragments: our transfer's, or another program's."""
        sent, total = progress.get("sentFragments"), progress.get("totalFragments")
        files, share = progress.get("totalFiles", 1), progress.get("progress")
        if not isinstance(sent, int) or not isinstance(total, int):
            return
        update = self._busy(device)
        if update is None:
            self._tell_foreign(device, ended=sent >= total)
            return
        if self._sessions[update].foreign and files != 1 and isinstance(share, int | float):
            sent, total = round(share * 100), 10_000  # several files: only the share is of all of them
        self._feed(update, words.Fragments(sent, total))

    def finished(self, device: DeviceId, result: Mapping[str, Any]) -> None:
        """A transfer to a node ended."""
        update = self._busy(device)
        self._ended.add(device)
        if update is not None and (ended := _ended(result)) is not None:
            self._feed(update, ended)

    def gone(self, device: DeviceId) -> None:
        """A node was removed from the network."""
        self._feed_all_of(device, words.Gone())

    def slept(self, device: DeviceId) -> None:
        """A node went to sleep."""
        self._feed_all_of(device, words.Slept())

    def _feed_all_of(self, device: DeviceId, event: words.Event) -> None:
        for update in [each for each, owner in self._devices.items() if owner == device]:
            self._feed(update, event)

    def moving(self, device: DeviceId) -> bool:
        """Whether a transfer to the node is under way, so that it should not be asked other things."""
        return any(owner == device and self._sessions[each].phase is Phase.MOVING for each, owner in self._devices.items())

    def _busy(self, device: DeviceId) -> UpdateId | None:
        mine = [each for each, owner in self._devices.items() if owner == device and self._sessions[each].busy]
        return next((each for each in mine if self._sessions[each].phase in (Phase.MOVING, Phase.REQUESTED)), mine[0] if mine else None)

    def _tell_foreign(self, device: DeviceId, *, ended: bool) -> None:
        if not ended and device not in self._ended and self._foreign.first(device):
            self._emit(ForeignTransfer(device=device))

    def _feed(self, update: UpdateId, event: words.Event) -> None:
        session = self._sessions.get(update)
        if session is not None:
            self._perform(update, session.receive(event, self._clock.monotonic()))
            self._changed.set()

    # --- what sessions want done --------------------------------------------------------------------------------------------------------

    def _perform(self, update: UpdateId, effects: words.Effects) -> None:
        for effect in effects:
            match effect:
                case Advance():
                    self._tell(effect)
                case words.Progress():
                    if update not in self._parked:
                        self._emit(TransferProgressed(update=update, offset=effect.offset, fragments=(effect.sent, effect.total)))
                case words.Rest():
                    self._ended.add(self._devices[update])
                    self._nodes.rest(self._devices[update], effect.seconds)
                case _:
                    self._spawn(update, effect)

    def _tell(self, told: Advance) -> None:
        if told.update not in self._parked:
            self._emit(as_event(told))
        elif self._knocked.first(told.update):
            self._emit(Knocked(update=told.update))

    def _spawn(self, update: UpdateId, effect: words.Effect) -> None:
        work: Work | None = {
            words.Prepare: self._prepare,
            words.Start: self._start,
            words.AskDriver: self._ask_driver,
            words.Abort: self._abort,
            words.Activate: self._activate,
        }.get(type(effect))
        if work is not None and self._tasks is not None and self._line is not None:
            name = f"zwave:{type(effect).__name__}:{update}".lower()
            self._tasks.create_task(self._carry_out(update, work, self._line), name=name)

    async def _carry_out(self, update: UpdateId, work: Work, line: ZwaveLine) -> None:
        session = self._sessions.get(update)
        if session is None:
            return
        event = await work(update, line)
        if event is not None and self._sessions.get(update) is session:
            self._feed(update, event)

    async def _prepare(self, update: UpdateId, _line: ZwaveLine) -> words.Event:
        order = self._sessions[update].order
        try:
            prepared, _ = await self._nodes.prepare(self._devices[update], 0 if order is None else target_of(order.component) or 0)
        except UnknownDevice:
            return words.Gone()  # it was removed before this was its turn
        except RadioError as error:
            return words.Unprepared(str(error), passing=isinstance(error, RadioUnavailable))
        return prepared

    async def _start(self, update: UpdateId, line: ZwaveLine) -> words.Event | None:
        order = self._sessions[update].order
        if order is None:
            return None
        packed = line.highest_schema >= UNPACKED_SINCE
        try:
            answer = await self._send(line, order, packed=packed)
        except CommandRefused as error:
            if packed or "invalid zip data" not in error.text:
                return words.Refused(error.number, error.text)
            try:  # a server that unpacks everything it is given, though its schema does not say so
                answer = await self._send(line, order, packed=True)
            except CommandRefused as again:
                return words.Refused(again.number, again.text)
            except RadioUnavailable:
                return None
        except RadioUnavailable:
            return None  # the connection: what the driver does will be asked when it stands again
        return _ended(answer.get("result") or {})

    async def _send(self, line: ZwaveLine, order: Send, *, packed: bool) -> dict[str, Any]:
        firmware = await asyncio.to_thread(_packed if packed else _plain, order.image)
        firmware["firmwareTarget"] = target_of(order.component) or 0
        return await line.command("node.update_firmware", within=None, nodeId=node_id_of(order.device), updates=[firmware])

    async def _ask_driver(self, _: UpdateId, line: ZwaveLine) -> words.Event | None:
        try:
            answer = await line.command("controller.is_any_ota_firmware_update_in_progress")
        except RadioError:
            return None
        return words.Running(answer.get("progress") is True)

    async def _abort(self, update: UpdateId, line: ZwaveLine) -> words.Event | None:
        try:
            await line.command("node.abort_firmware_update", within=None, nodeId=node_id_of(self._devices[update]))
        except CommandRefused as error:
            return words.Stopped(too_late="transmitted completely" in error.text)
        except RadioUnavailable:
            return None
        return words.Stopped()

    async def _activate(self, update: UpdateId, line: ZwaveLine) -> words.Event | None:
        order, device = self._sessions[update].order, self._devices[update]
        if order is None:
            return None
        target = target_of(order.component) or 0
        try:
            _, metadata = await self._nodes.prepare(device, target)
            if metadata is None or target >= len(metadata.firmware_ids):
                return words.Answered(None)
            wanted = {
                "manufacturerId": metadata.manufacturer_id,
                "firmwareId": metadata.firmware_ids[target],
                "checksum": await asyncio.to_thread(crc16, order.image),
                "firmwareTarget": target,
                "hardwareVersion": metadata.hardware_version,
            }
            arguments = [{key: value for key, value in wanted.items() if value is not None}]
            answer = await line.command(
                "endpoint.invoke_cc_api",
                within=_ACTIVATE_WITHIN,
                nodeId=node_id_of(device),
                endpoint=0,
                commandClass=0x7A,
                methodName="activateFirmware",
                args=arguments,
            )
        except (RadioError, UnknownDevice) as error:
            LOG.info("activation not answered", update=update, error=str(error))
            return words.Answered(None)
        status = answer.get("response")
        if status == DONE_RESTARTS and self._tasks is not None:
            self._tasks.create_task(self._interview(device, line), name=f"zwave:interview:{device}")
        return words.Answered(status if isinstance(status, int) else None)

    async def _interview(self, device: DeviceId, line: ZwaveLine) -> None:
        """After an update the driver asks the node for everything anew; after an activation, which it does not heed, only if it is told to."""
        await asyncio.sleep(_RESTART * self._patience.share)
        try:
            await line.command("node.refresh_info", within=None, nodeId=node_id_of(device))
        except RadioError as error:
            LOG.info("interview after an activation not begun", device=device, error=str(error))


def _ended(result: Mapping[str, Any]) -> words.Ended | None:
    status, wait = result.get("status"), result.get("waitTime")
    if not isinstance(status, int):
        return None
    return words.Ended(status, float(wait) if isinstance(wait, int | float) and 0 <= wait <= _LONGEST_WAIT else 0.0)


def _plain(image: memoryview) -> dict[str, Any]:
    return {"filename": "image.bin", "file": base64.b64encode(image).decode(), "fileFormat": "bin"}


def _packed(image: memoryview) -> dict[str, Any]:
    """An archive that holds one raw image and nothing else: the only upload that servers from schema 47 on take."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as file:
        file.writestr(zipfile.ZipInfo("image.bin"), bytes(image))
    return {"filename": "image.zip", "file": base64.b64encode(archive.getbuffer()).decode()}
