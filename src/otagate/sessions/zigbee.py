"""The server side of the Zigbee OTA Upgrade cluster for one device (ZCL 8, chapter 11), sans-IO.

Frames and the time go in, effects come out. Laws: a block is served only from the image that was pinned for exactly the manufacturer code, image
type and file version that the request names, so bytes of two images never mix; what changes the life of an update is told, and told again until it
is durable, and the request that caused it is answered only then; every request costs a bounded answer; an Upgrade End Response follows SUCCESS alone.
"""

from __future__ import annotations

from collections.abc import Iterator

from otagate.model.errors import RemoteProtocolError
from otagate.model.ids import Sha256, UpdateId
from otagate.model.lifecycle import Cause
from otagate.model.orders import Activate, Dismiss, Order, Park, Pause, Release, Resume, Serve, Withdraw
from otagate.model.quirks import PLAIN, Quirk
from otagate.sessions import ota_frames as ota
from otagate.sessions import ota_verdicts as verdicts
from otagate.sessions.effects import NOTHING, Advance, Announce, Effects, Knock, Reply
from otagate.sessions.ota_limits import BLOCK_STEPS, Allowance, Notebook, block_size, freeing_block, smaller_block
from otagate.sessions.ota_notify import Offered
from otagate.sessions.ota_pages import MAX_PAGE, Pacing, Page, page_of
from otagate.sessions.ota_timing import NEVER, Timing
from otagate.sessions.ota_transfer import Patience, Pending, Phase, Transfer, first_phase
from otagate.sessions.ota_verdicts import Verdict


class OtaServer:
    """Everything that one device may ask of the OTA server, for any number of its components (image types)."""

    def __init__(self, *, tokens: Iterator[int], patience: Patience, quirk: Quirk = PLAIN, sleepy: bool = False) -> None:
        self.quirk = quirk
        self.sleepy = sleepy
        self.last_refusal = ""
        self._tokens = tokens
        self._patience = patience
        self._transfers: dict[int, Transfer] = {}
        self._left: dict[int, Sha256 | None] = {}  # by image type: of which image the device may hold a part, though nobody orders it now
        self._frame = BLOCK_STEPS[0]
        self._allowance = Allowance()
        self._notebook = Notebook()
        self._pacing = Pacing(patience.page_floor)
        self._tsn = 0

    # --- readings ---------------------------------------------------------------------------------------------------------------------

    def high_water(self, update: UpdateId) -> int:
        """The furthest byte offset that the device is known to hold up to, or 0; the size of the image once its last byte was handed out."""
        transfer = self._of(update)
        if transfer is None:
            return 0
        return transfer.size if transfer.reached >= transfer.size else transfer.high_water

    def serves(self) -> bool:
        """Whether any image is pinned for this device."""
        return bool(self._transfers)

    def is_fetching(self) -> bool:
        """Whether the device is in the middle of an image, which it might begin anew after an Image Notify."""
        return any(each.phase is Phase.SERVING and 0 < each.reached < each.size and each.parked_at is None for each in self._transfers.values())

    def first_told(self) -> Offered | None:
        """The image that the device was told of just now, once; None where it sleeps, was told before, or several wait for it."""
        told = [each for each in self._transfers.values() if each.phase is Phase.OFFERED and each.waiting]
        return told[0].offered if len(told) == 1 and told[0].notifies == 1 and not self.sleepy else None

    def together(self) -> int:
        """With how many others at most an image of this device was ordered at one moment, itself included."""
        return max((each.order.together for each in self._transfers.values()), default=0)

    def awaits(self, offered: Offered) -> bool:
        """Whether a notify that names this image is for this device, be it its turn or not."""
        transfer = self._transfers.get(offered.image_type)
        return transfer is not None and transfer.phase is Phase.OFFERED and transfer.offered == offered

    def wake_at(self) -> float | None:
        """When `tick` wants to be called next, or None."""
        timing = self._timing()
        due = min((timing.due(each) for each in self._transfers.values()), default=NEVER)
        return None if due == NEVER else due

    def is_dismissed(self, update: UpdateId) -> bool:
        """Whether the device knows that the radio goes away, or fetches nothing that it could miss."""
        transfer = self._of(update)
        return transfer is None or transfer.phase is not Phase.SERVING or transfer.away is None or transfer.dismissed

    def back_in(self, update: UpdateId, now: float) -> float:
        """Seconds until the device asks again that was told that the radio goes away; 0 where it may ask at any moment."""
        transfer = self._of(update)
        if transfer is None or transfer.phase is not Phase.SERVING or not transfer.dismissed:
            return 0.0
        return max(0.0, transfer.back_at - now)

    # --- orders -----------------------------------------------------------------------------------------------------------------------

    def command(self, order: Order, now: float) -> Effects:
        """Take an order of the engine; idempotent, and silent about an update that is not (or no longer) known."""
        if isinstance(order, Serve):
            return self._serve(order, now)
        transfer = self._of(order.update)
        if transfer is None:
            return NOTHING
        match order:
            case Park():
                transfer.park(now)
                transfer.pending = None
            case Pause():
                transfer.paused, transfer.page = True, None
            case Dismiss():
                transfer.away, transfer.dismissed, transfer.page = order.seconds, False, None
            case Resume() if transfer.paused:
                return self._resume(transfer, now)
            case Withdraw():
                del self._transfers[transfer.order.image_type]  # what the device still asks for is then unknown here: ABORT
                self._leave(transfer)
            case Release():
                transfer.released = True
            case Activate() if transfer.phase in (Phase.HELD, Phase.INCOMPLETE, Phase.ACTIVATED):
                transfer.phase = Phase.ACTIVATED
                return (Announce(transfer.end_response(self._next_tsn()), transfer.order.image_type),)
        return NOTHING

    def _serve(self, order: Serve, now: float) -> Effects:
        before = self._transfers.get(order.image_type)
        if before is not None and before.order.update != order.update:
            self._leave(before)
            before = None
        if before is not None and (before.pending is not None or before.parked_at is None):
            return NOTHING
        transfer = Transfer(order=order, phase=first_phase(order), since=now, heard=now, moved=now)
        transfer.begun |= order.digest is not None and order.digest == self._left.get(order.image_type)
        self._transfers[order.image_type] = transfer
        self.last_refusal = ""
        if before is not None and transfer.goes_on_from(before):
            if before.unanswered is not None and now - before.unanswered_at <= self._patience.knock_every:
                return self._dispatch(before.unanswered, now)
            transfer.back_at = before.back_at
            transfer.begin_again(max(now, before.back_at))
        if transfer.phase is not Phase.OFFERED or order.adopted is not None:
            return NOTHING
        return self._notify_unless_expected(transfer, now)

    def _leave(self, transfer: Transfer) -> None:
        """The device may keep what it has of this image, and go on with it when somebody orders it again."""
        if transfer.begun:
            self._left[transfer.order.image_type] = transfer.order.digest

    def _resume(self, transfer: Transfer, now: float) -> Effects:
        """The pause was nobody's silence, nor is the rest of the wait that the device was told."""
        transfer.paused = False
        transfer.begin_again(max(now, transfer.back_at))
        if transfer.phase is not Phase.OFFERED or not transfer.waiting:
            return NOTHING
        return self._notify_unless_expected(transfer, now)

    def committed(self, token: int, now: float) -> Effects:
        """What the token stood for is durable: enter its phase and answer the newest request that waited for it."""
        for transfer in self._transfers.values():
            pending = transfer.pending
            if pending is not None and pending.advance.token == token:
                transfer.pending = None
                transfer.begin_again(now)
                if pending.phase is not None:
                    transfer.phase = pending.phase
                frame = transfer.take_unanswered()
                return NOTHING if frame is None else self._dispatch(frame, now)
        return NOTHING

    def too_long(self) -> bool:
        """A block did not fit its frame: use the next smaller size. False where there is none."""
        smaller = smaller_block(min(self._frame, self.quirk.block_limit or self._frame))
        self._frame = smaller or self._frame
        return smaller is not None

    def heard(self, now: float) -> Effects:
        """Something else came from the device, so a sleeping one is awake: offer again what it does not ask for."""
        timing = self._timing()
        for transfer in self._transfers.values():
            if timing.notify_due(transfer) <= now:
                return self._notify(transfer, now)
        return NOTHING

    def reopened(self, now: float) -> Effects:
        """The radio was away and is back: that time counts against nobody, and what was offered is offered again."""
        effects: Effects = NOTHING
        self._left.clear()  # meanwhile another program may have served another file
        for transfer in self._transfers.values():
            transfer.begin_again(max(now, transfer.back_at))
            transfer.away = transfer.page = None
            if transfer.phase is Phase.OFFERED and transfer.waiting and transfer.notified is not None:
                effects += self._notify(transfer, now)
        return effects

    def refused(self, command: int, status: int) -> None:
        """The device answered one of our frames with a Default Response; kept for the sentence of a stall (many are harmless)."""
        if status:
            self.last_refusal = f"it answered command 0x{command:02x} with status 0x{status:02x}"

    # --- frames -----------------------------------------------------------------------------------------------------------------------

    def receive(self, frame: bytes, now: float) -> Effects:
        """Answer one ZCL frame, where `ota_frames.is_request` accepts it; never raises for what a device sends."""
        if not ota.is_request(frame):
            return NOTHING
        command = frame[2]
        if command != ota.IMAGE_BLOCK and not self._allowance.spend(now):  # a block that makes progress is free
            return NOTHING
        try:
            return self._dispatch(frame, now)
        except RemoteProtocolError:
            if command == ota.IMAGE_BLOCK and not self._allowance.spend(now):
                return NOTHING
            return (Reply(ota.default_response(frame[1], command, ota.MALFORMED_COMMAND)),)

    def _dispatch(self, frame: bytes, now: float) -> Effects:
        match frame[2]:
            case ota.IMAGE_BLOCK:
                return self._block(frame, now)
            case ota.QUERY_NEXT_IMAGE:
                return self._query(frame, now)
            case ota.IMAGE_PAGE:
                return self._page(frame, now)
            case ota.UPGRADE_END:
                return self._end(frame, now)
        ota.read_device_specific(frame)
        return (Reply(ota.device_specific_refusal(frame[1])),)

    # --- blocks and pages -------------------------------------------------------------------------------------------------------------

    def _block(self, frame: bytes, now: float) -> Effects:
        request = ota.read_block(frame)
        transfer = self._transfers.get(request.image_type)
        if transfer is None or not transfer.matches(request):
            return self._foreign(transfer, frame[1], now) if self._allowance.spend(now) else NOTHING
        transfer.page = None
        if request.offset >= transfer.size or not request.max_size:
            raise RemoteProtocolError(f"block of {request.max_size} octets at {request.offset} of {transfer.size}")
        if not transfer.open:
            return self._elsewhere(transfer, request, frame, now) if self._allowance.spend(now) else NOTHING
        if self._is_of_another_file(transfer, request):
            return self._foreign(transfer, frame[1], now) if self._allowance.spend(now) else NOTHING
        if not self._progresses(transfer, request.offset, now) and not self._allowance.spend(now):
            return NOTHING
        if transfer.sated:
            return self._tell(transfer, verdicts.GREEDY, now, frame=frame)
        self._pacing.asked(request.offset, request.max_size)
        offset, length = self._freed_by(transfer, request) or (request.offset, self._size(request))
        return (Reply(ota.block_response(frame[1], request, offset, transfer.cut(offset, length))),)

    def _page(self, frame: bytes, now: float) -> Effects:
        request = ota.read_page(frame)
        transfer = self._transfers.get(request.image_type)
        if transfer is None or not transfer.matches(request):
            return self._foreign(transfer, frame[1], now)
        transfer.page = None
        if request.offset >= transfer.size or not request.max_size or not 0 < request.page_size <= MAX_PAGE:
            raise RemoteProtocolError(f"page of {request.page_size} octets at {request.offset} of {transfer.size}")
        if not transfer.open:
            return self._elsewhere(transfer, request, frame, now)
        if self._is_of_another_file(transfer, request):
            return self._foreign(transfer, frame[1], now)
        self._progresses(transfer, request.offset, now)
        if transfer.sated:
            return self._tell(transfer, verdicts.GREEDY, now, frame=frame)
        page = transfer.page = page_of(request, frame[1], size=transfer.size, block=self._size(request), now=now)
        self._pacing.begins(page)
        return self._page_block(transfer, page, now)

    def _page_block(self, transfer: Transfer, page: Page, now: float) -> Effects:
        offset = page.offset
        data = transfer.cut(offset, min(self._size(page.request), page.end - offset))
        page.offset += len(data)
        page.due = now + page.spacing
        transfer.heard = transfer.moved = now  # the device waits for the rest of its page
        if page.offset >= page.end:
            transfer.page = None
        return (Reply(ota.block_response(page.tsn, page.request, offset, data)),)

    def _size(self, request: ota.BlockRequest | ota.PageRequest) -> int:
        return block_size(request.max_size, self._frame, self.quirk.of_type(request.image_type))

    def _freed_by(self, transfer: Transfer, request: ota.BlockRequest | ota.PageRequest) -> tuple[int, int] | None:
        """Offset and length of the first block of a transfer whose client is stuck, or None."""
        if transfer.reached or isinstance(request, ota.PageRequest):
            return None
        return freeing_block(request, transfer.size, self.quirk.of_type(request.image_type))

    def _is_of_another_file(self, transfer: Transfer, request: ota.BlockRequest | ota.PageRequest) -> bool:
        """Whether the device goes on in the middle of a file of which nothing came from here: makers give different files one version."""
        if transfer.begun or not request.offset or self._freed_by(transfer, request) is not None:
            return False
        transfer.strayed = request.offset
        return True

    def _progresses(self, transfer: Transfer, offset: int, now: float) -> bool:
        """Whether the device has what came before: it reaches new ground, or reads on from the latest block after it began again."""
        transfer.heard, transfer.dismissed = now, False
        if offset > transfer.high_water:
            transfer.high_water = offset
            self._allowance.earn()
        elif offset != transfer.expected:
            return False
        transfer.moved = now
        transfer.notifies = 0
        return True

    def _foreign(self, transfer: Transfer | None, tsn: int, now: float) -> Effects:
        """A block of an image that is not pinned, or was not begun here: ABORT, and where another one is offered, say so soon."""
        if transfer is not None and transfer.phase is Phase.OFFERED:
            transfer.notified = now  # the device drops its old download first
        return (Reply(ota.block_abort(tsn)),)

    def _elsewhere(self, transfer: Transfer, request: ota.BlockRequest | ota.PageRequest, frame: bytes, now: float) -> Effects:
        """A block of the pinned image at a moment that does not simply serve it."""
        another = self._is_of_another_file(transfer, request)
        if not another:
            transfer.high_water = max(transfer.high_water, request.offset)
        if transfer.pending is not None:
            transfer.keep(frame, now)
            return NOTHING
        if transfer.parked_at is not None:
            return (self._wait(transfer, request, frame[1], self._timing().parked_wait(transfer, now), now), *self._knock(transfer, now))
        if transfer.away is not None:
            transfer.dismissed = True
            return (self._wait(transfer, request, frame[1], self._timing().away_wait(transfer.away), now),)
        if transfer.paused:
            return (self._wait(transfer, request, frame[1], self._timing().paused_wait(), now),)
        if another:
            return self._foreign(transfer, frame[1], now)
        if transfer.phase is Phase.OFFERED:
            return self._tell(transfer, verdicts.block_unasked(request.offset), now, frame=frame)
        if transfer.phase is Phase.OVER or transfer.sated:
            return (Reply(ota.block_abort(frame[1])),)
        data = transfer.cut(request.offset, self._size(request))
        return (Reply(ota.block_response(frame[1], request, request.offset, data)),)

    @staticmethod
    def _wait(transfer: Transfer, request: ota.BlockRequest | ota.PageRequest, tsn: int, seconds: int, now: float) -> Reply:
        transfer.back_at = now + seconds
        period = request.minimum_block_period if isinstance(request, ota.BlockRequest) else None
        return Reply(ota.block_wait(tsn, seconds=seconds, minimum_block_period=period or 0))  # its own period: we have no other wish

    # --- queries ----------------------------------------------------------------------------------------------------------------------

    def _query(self, frame: bytes, now: float) -> Effects:
        request = ota.read_query(frame)
        transfer = self._transfers.get(request.image_type)
        if transfer is None or transfer.order.manufacturer_code != request.manufacturer_code:
            for each in self._transfers.values():
                each.asked_for_another(request)
            return self._no_image(request, frame[1], now)
        order, quirk = transfer.order, self.quirk.of_type(request.image_type)
        transfer.page = None
        transfer.heard = now
        if transfer.pending is not None:
            transfer.keep(frame, now)
            return NOTHING
        if transfer.parked_at is not None:
            transfer.keep(frame, now)
            return (*self._notebook.note(request, now, every=self._patience.asked_every), *self._knock(transfer, now))
        if transfer.phase is Phase.OFFERED and not transfer.paused:
            return self._tell(transfer, verdicts.query_for(order, request, quirk), now, frame=frame)
        if verdicts.runs_it(order, request, quirk) and transfer.phase in (Phase.SERVING, Phase.HELD, Phase.INCOMPLETE):
            return self._tell(transfer, verdicts.RUNS_IT, now, frame=frame)
        offered = Reply(ota.query_response(frame[1], request, file_version=order.file_version, size=transfer.size))
        if transfer.phase is Phase.SERVING:
            transfer.begun = transfer.begun or transfer.strayed is not None  # it has dropped the other file; some read the end of one first
            return (offered,)
        if transfer.phase in (Phase.HELD, Phase.INCOMPLETE) and not transfer.sated:  # it restarted: it asks for the word, or for what it has lost
            return (*self._notebook.note(request, now, every=self._patience.asked_every), offered)
        return self._no_image(request, frame[1], now)

    def _no_image(self, request: ota.QueryRequest, tsn: int, now: float) -> Effects:
        asked, quirk = self._notebook.note(request, now, every=self._patience.asked_every), self.quirk.of_type(request.image_type)
        return asked if quirk.silent_refusal else (*asked, Reply(ota.query_refusal(tsn, quirk.refusal_status)))

    # --- the end of a download --------------------------------------------------------------------------------------------------------

    def _end(self, frame: bytes, now: float) -> Effects:
        """A failed upgrade is acknowledged by a Default Response SUCCESS, never by an Upgrade End Response (11.13.9.4)."""
        request = ota.read_end(frame)
        transfer = self._transfers.get(request.image_type)
        status = ota.SUCCESS if request.status != ota.SUCCESS else self.quirk.of_type(request.image_type).stray_end_status
        acknowledgement = (Reply(ota.default_response(frame[1], ota.UPGRADE_END, status)),)
        if transfer is None or not transfer.matches(request):
            return acknowledgement
        transfer.page = None
        if transfer.pending is not None:
            transfer.keep(frame, now)
            return NOTHING
        if request.status != ota.SUCCESS:
            verdict = verdicts.end_badly(transfer, request.status)
            return acknowledgement if verdict is None else self._tell(transfer, verdict, now, frame=frame)
        if transfer.phase is Phase.OVER or not transfer.complete:
            return acknowledgement  # an end without its download is a device in a loop
        if transfer.parked_at is not None:
            transfer.keep(frame, now)
            return self._knock(transfer, now)
        return self._ended_well(transfer, frame, now)

    def _ended_well(self, transfer: Transfer, frame: bytes, now: float) -> Effects:
        if transfer.phase is Phase.INCOMPLETE and transfer.paused:
            return (Reply(transfer.end_response(frame[1], hold=True)),)  # it asks again (11.13.9.4)
        if transfer.phase is Phase.INCOMPLETE and transfer.order.hold_activation and not transfer.released:
            transfer.phase = Phase.HELD
        if transfer.phase is Phase.HELD and transfer.released and not transfer.paused:
            return self._tell(transfer, verdicts.RELEASED, now, frame=frame)
        if transfer.phase in (Phase.HELD, Phase.ACTIVATED):
            return (Reply(transfer.end_response(frame[1])),)
        return self._tell(transfer, verdicts.end_well(transfer), now, frame=frame)

    # --- time -------------------------------------------------------------------------------------------------------------------------

    def tick(self, now: float) -> Effects:
        """Do what is due: the next block of a page, a telling or an Image Notify again, the end of patience."""
        effects: Effects = NOTHING
        timing = self._timing()
        for transfer in list(self._transfers.values()):
            if timing.due(transfer) <= now:
                effects += self._tick_one(transfer, timing, now)
        return effects

    def _tick_one(self, transfer: Transfer, timing: Timing, now: float) -> Effects:
        if transfer.page is not None:
            return self._page_block(transfer, transfer.page, now)
        if transfer.pending is not None:
            transfer.pending.told = now
            return (transfer.pending.advance,)
        if transfer.phase is Phase.OFFERED and timing.offer_ends(transfer) <= now:
            return self._tell(transfer, verdicts.offer_over(transfer, timing.offer()), now)
        if transfer.phase is Phase.SERVING and timing.silence_ends(transfer) <= now:
            return self._tell(transfer, verdicts.progress_over(transfer, self.last_refusal), now)
        return self._notify(transfer, now)

    # --- small parts ------------------------------------------------------------------------------------------------------------------

    def _of(self, update: UpdateId) -> Transfer | None:
        return next((each for each in self._transfers.values() if each.order.update == update), None)

    def _timing(self) -> Timing:
        return Timing(self._patience, self.quirk, self.sleepy)

    def _notify(self, transfer: Transfer, now: float) -> Effects:
        transfer.notified = now
        if not self.quirk.of_type(transfer.order.image_type).notify:
            return NOTHING
        transfer.notifies += 1
        return (Announce(ota.image_notify(self._next_tsn()), transfer.order.image_type),)

    def _notify_unless_expected(self, transfer: Transfer, now: float) -> Effects:
        """A device that was told to wait comes by itself; a notify would make it begin again."""
        if now > transfer.back_at:
            return self._notify(transfer, now)
        transfer.notified = transfer.back_at
        return NOTHING

    def _knock(self, transfer: Transfer, now: float) -> Effects:
        if now - transfer.knocked < self._patience.knock_every:
            return NOTHING
        transfer.knocked = now
        return (Knock(transfer.order.update),)

    def _tell(self, transfer: Transfer, verdict: Verdict, now: float, *, frame: bytes | None = None) -> Effects:
        """Tell what happened; when it is durable its phase is entered and `frame`, or what the device asked since, is answered."""
        if frame is not None:
            transfer.keep(frame, now)
        if verdict.park:
            transfer.park(now)
        if Cause.TRANSFERRED in verdict.causes:
            transfer.high_water = transfer.size
        update, token, offset = transfer.order.update, next(self._tokens), transfer.high_water
        wants_more = verdict.phase is Phase.INCOMPLETE
        advance = Advance(
            update=update, causes=verdict.causes, detail=verdict.detail, token=token, offset=offset, held=verdict.held, wants_more=wants_more
        )
        transfer.pending = Pending(advance=advance, phase=verdict.phase, told=now)
        return (advance,)

    def _next_tsn(self) -> int:
        self._tsn = (self._tsn + 1) & 0xFF
        return self._tsn
