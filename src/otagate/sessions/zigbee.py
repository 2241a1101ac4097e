"""The server side of the Zigbee OTA Upgrade cluster for one device (ZCL 8, chapter 11), sans-IO.

Frames and the time go in, effects come out. Laws: a block is served only from the image that was pinned for exactly the manufacturer code, image
type and file version that the request names, so bytes of two images never mix; an answer that changes the life of an update (Query Next Image
SUCCESS, Upgrade End Response) leaves only after its commit; every request costs a bounded answer; an Upgrade End Response follows SUCCESS alone.
"""

from __future__ import annotations

from collections.abc import Iterator

from otagate.model.errors import RemoteProtocolError
from otagate.model.ids import UpdateId
from otagate.model.lifecycle import Cause
from otagate.model.orders import Activate, Order, Park, Pause, Resume, Serve, Withdraw
from otagate.model.quirks import PLAIN, Quirk
from otagate.sessions import ota_frames as ota
from otagate.sessions.effects import NOTHING, Advance, Announce, Asked, Effects, Knock, Reply
from otagate.sessions.ota_transfer import Page, Patience, Pending, Phase, Transfer

MAX_PAGE = 4_096
"""Largest page that is served, in bytes; a larger one is malformed (the specification sets no bound, and 65,535 is an attack)."""

MAX_PAGE_BLOCKS = 32
"""Most frames that one page request is worth; a client fetches the rest of its page by block requests, as it does after loss."""

BLOCK_STEPS = (64, 50, 40)
"""Data octets of a block that fit one frame: a neighbour, behind a source route, and what every stack takes."""

_STRAY_PER_SECOND = 20.0
_STRAY_BURST = 100.0
_SENT_FACTOR = 3
_SENT_SLACK = 65_536

_ADOPTED = {
    "offering": Phase.OFFERED,
    "transferring": Phase.SERVING,
    "staged": Phase.HELD,
    "activating": Phase.ACTIVATED,
}


class OtaServer:
    """Everything that one device may ask of the OTA server, for any number of its components (image types)."""

    def __init__(self, *, tokens: Iterator[int], patience: Patience, quirk: Quirk = PLAIN, sleepy: bool = False) -> None:
        self.quirk = quirk
        self.sleepy = sleepy
        self.last_refusal = ""
        self._tokens = tokens
        self._patience = patience
        self._transfers: dict[int, Transfer] = {}
        self._block_limit = BLOCK_STEPS[0]
        self._credit = _STRAY_BURST
        self._credit_at = 0.0
        self._asked_at: dict[int, float] = {}
        self._tsn = 0

    # --- readings ---------------------------------------------------------------------------------------------------------------------

    def high_water(self, update: UpdateId) -> int:
        """The furthest byte offset that the device is known to hold up to, or 0."""
        return next((each.high_water for each in self._transfers.values() if each.order.update == update), 0)

    def serves(self) -> bool:
        """Whether any image is pinned for this device."""
        return bool(self._transfers)

    def wake_at(self) -> float | None:
        """When `tick` wants to be called next, or None."""
        return min((self._due(each) for each in self._transfers.values()), default=None)

    # --- orders -----------------------------------------------------------------------------------------------------------------------

    def command(self, order: Order, now: float) -> Effects:
        """Take an order of the engine; idempotent, and silent about an update that is not (or no longer) known."""
        if isinstance(order, Serve):
            return self._serve(order, now)
        transfer = next((each for each in self._transfers.values() if each.order.update == order.update), None)
        if transfer is None:
            return NOTHING
        match order:
            case Park():
                transfer.parked, transfer.page, transfer.pending = True, None, None
            case Pause():
                transfer.paused, transfer.page = True, None
            case Resume():
                transfer.paused, transfer.heard = False, now
            case Withdraw():
                del self._transfers[transfer.order.image_type]  # what the device still asks for is then unknown here: ABORT
            case Activate():
                transfer.phase = Phase.ACTIVATED
                return (Announce(self._end_response(transfer, self._next_tsn())),)
        return NOTHING

    def _serve(self, order: Serve, now: float) -> Effects:
        known = self._transfers.get(order.image_type)
        if known is not None and known.order.update == order.update and not known.parked:
            return NOTHING
        phase = _ADOPTED[order.adopted] if order.adopted else Phase.OFFERED
        transfer = Transfer(order=order, phase=phase, since=now, size=len(order.image), heard=now)
        self._transfers[order.image_type] = transfer
        if known is not None and known.order.update == order.update:
            transfer.high_water, transfer.reached = known.high_water, known.reached
            if known.stashed_query is not None and now - known.stashed_at <= self._patience.knock_every:
                return self._query(known.stashed_query, now)
        if phase is Phase.OFFERED and order.adopted is None:
            return self._notify(transfer, now)
        return NOTHING

    def committed(self, token: int, now: float) -> Effects:
        """What the token stood for is durable: enter its phase and let the held answer leave."""
        for transfer in self._transfers.values():
            pending = transfer.pending
            if pending is not None and pending.token == token:
                transfer.pending = None
                transfer.heard = now
                if pending.phase is not None:
                    transfer.phase = pending.phase
                return (Reply(pending.frame),) if pending.frame is not None else NOTHING
        return NOTHING

    def too_long(self) -> bool:
        """A block did not fit its frame: use the next smaller size. False where there is none."""
        smaller = next((step for step in BLOCK_STEPS if step < self._block_limit), None)
        if smaller is None:
            return False
        self._block_limit = smaller
        return True

    def heard(self, now: float) -> Effects:
        """Something else came from the device, so a sleeping one is awake: offer again what it does not ask for."""
        for transfer in self._transfers.values():
            if self._waits(transfer, now) and (transfer.notified is None or now - transfer.notified >= self._patience.notify_every):
                return self._notify(transfer, now)
        return NOTHING

    def reopened(self, now: float) -> Effects:
        """The radio was away and is back: that time counts against nobody, and what was offered is offered again."""
        effects: Effects = NOTHING
        for transfer in self._transfers.values():
            transfer.since = transfer.heard = now
            transfer.page = transfer.pending = None
            transfer.notifies = 0
            if transfer.phase is Phase.OFFERED and not transfer.parked and transfer.notified is not None:
                effects += self._notify(transfer, now)
        return effects

    def refused(self, command: int, status: int) -> None:
        """The device answered one of our frames with a Default Response; kept for the sentence of a stall (many are harmless)."""
        if status:
            self.last_refusal = f"it answered command 0x{command:02x} with status 0x{status:02x}"

    def _waits(self, transfer: Transfer, now: float) -> bool:
        if transfer.parked or transfer.paused or transfer.pending is not None:
            return False
        return transfer.phase is Phase.OFFERED or (transfer.phase is Phase.SERVING and now - transfer.heard >= self._patience.silence_notify)

    # --- frames -----------------------------------------------------------------------------------------------------------------------

    def receive(self, frame: bytes, now: float) -> Effects:
        """Answer one ZCL frame that `ota_frames.is_request` accepts; never raises for what a device sends."""
        command = frame[2]
        try:
            if command == ota.IMAGE_BLOCK:
                return self._block(frame, now)
            if not self._spend(now):
                return NOTHING
            if command == ota.QUERY_NEXT_IMAGE:
                return self._query(frame, now)
            if command == ota.UPGRADE_END:
                return self._end(frame, now)
            if command == ota.IMAGE_PAGE:
                return self._page(frame, now)
        except RemoteProtocolError:
            return (Reply(ota.default_response(frame[1], command, ota.MALFORMED_COMMAND)),)
        return (Reply(ota.device_specific_refusal(frame[1])),)

    def _block(self, frame: bytes, now: float) -> Effects:
        request = ota.read_block(frame)
        tsn = frame[1]
        transfer = self._transfers.get(request.image_type)
        if transfer is None or not transfer.matches(request):
            return self._foreign_block(transfer, tsn, now)
        transfer.page = None
        transfer.heard = now
        offset = request.offset
        if offset > transfer.high_water:
            transfer.high_water = offset
            self._credit += 2.0
        elif not self._spend(now):
            return NOTHING
        if offset >= transfer.size or request.max_size == 0:
            return (Reply(ota.default_response(tsn, ota.IMAGE_BLOCK, ota.MALFORMED_COMMAND)),)
        if transfer.phase is not Phase.SERVING or transfer.parked or transfer.paused:
            return self._block_elsewhere(transfer, request, tsn, now)
        return self._answer_block(transfer, request, tsn)

    def _answer_block(self, transfer: Transfer, request: ota.BlockRequest, tsn: int) -> Effects:
        if transfer.sent > _SENT_FACTOR * transfer.size + _SENT_SLACK:
            transfer.parked = True
            return (self._advance(transfer, Cause.STALLED, "the device asked for more than three times the bytes of the image"),)
        data = self._cut(transfer, request.offset, request.max_size)
        return (Reply(ota.block_response(tsn, request, request.offset, data)),)

    def _cut(self, transfer: Transfer, offset: int, asked: int) -> memoryview:
        limit = self.quirk.block_limit or self._block_limit
        end = min(offset + min(asked, limit, self._block_limit), transfer.size)
        transfer.sent += end - offset
        if end > transfer.reached:
            transfer.reached = end
        return transfer.order.image[offset:end]

    def _foreign_block(self, transfer: Transfer | None, tsn: int, now: float) -> Effects:
        """A block of an image that is not pinned: ABORT, and where another one is offered, say so soon."""
        if not self._spend(now):
            return NOTHING
        if transfer is not None and transfer.phase is Phase.OFFERED:
            transfer.notified = now  # the device drops its old download first; the next tick offers again
        return (Reply(ota.block_abort(tsn)),)

    def _block_elsewhere(self, transfer: Transfer, request: ota.BlockRequest, tsn: int, now: float) -> Effects:
        """A block of the pinned image in a phase that does not simply serve it."""
        if transfer.pending is not None and now - transfer.pending.since < self._patience.commit:
            return NOTHING
        if transfer.parked:
            wait = Reply(ota.block_wait(tsn, seconds=max(1, int(self._patience.knock_every)), minimum_block_period=0))
            return (wait, *self._knock(transfer, now))
        if transfer.paused:
            seconds = min(300, max(1, int(self._patience.wait_for_data)))
            return (Reply(ota.block_wait(tsn, seconds=seconds, minimum_block_period=0)),)
        data = self._cut(transfer, request.offset, request.max_size)
        answer = ota.block_response(tsn, request, request.offset, data)
        if transfer.phase is Phase.OFFERED:
            detail = f"the device went on at offset {request.offset} without a new query"
            return (self._hold(transfer, (Cause.ACCEPTED,), detail, answer, Phase.SERVING, now),)
        return (Reply(answer),)

    def _page(self, frame: bytes, now: float) -> Effects:
        request = ota.read_page(frame)
        tsn = frame[1]
        transfer = self._transfers.get(request.image_type)
        if transfer is None or not transfer.matches(request):
            return self._foreign_block(transfer, tsn, now)
        transfer.page = None
        transfer.heard = now
        malformed = request.max_size == 0 or not 0 < request.page_size <= MAX_PAGE or request.offset >= transfer.size
        if malformed:
            return (Reply(ota.default_response(tsn, ota.IMAGE_PAGE, ota.MALFORMED_COMMAND)),)
        transfer.high_water = max(transfer.high_water, request.offset)
        if transfer.phase is not Phase.SERVING or transfer.parked or transfer.paused:
            one = ota.BlockRequest(*request[:5], None)
            return self._block_elsewhere(transfer, one, tsn, now)
        spacing = max(request.spacing / 1_000, self._patience.page_floor)
        block = min(request.max_size, self.quirk.block_limit or self._block_limit, self._block_limit)
        end = min(request.offset + request.page_size, request.offset + MAX_PAGE_BLOCKS * block, transfer.size)
        transfer.page = Page(tsn=tsn, request=request, offset=request.offset, end=end, spacing=spacing, due=now)
        return self._page_block(transfer, transfer.page, now)

    def _page_block(self, transfer: Transfer, page: Page, now: float) -> Effects:
        data = self._cut(transfer, page.offset, min(page.request.max_size, page.end - page.offset))
        answer = ota.block_response(page.tsn, page.request, page.offset, data)
        page.offset += len(data)
        page.due = now + page.spacing
        if page.offset >= page.end:
            transfer.page = None
        return (Reply(answer),)

    def _query(self, frame: bytes, now: float) -> Effects:
        request = ota.read_query(frame)
        tsn = frame[1]
        transfer = self._transfers.get(request.image_type)
        if transfer is None or transfer.order.manufacturer_code != request.manufacturer_code:
            return (*self._asked(request, now), Reply(ota.query_refusal(tsn, self.quirk.refusal_status)))
        transfer.page = None
        transfer.heard = now
        if transfer.pending is not None and now - transfer.pending.since < self._patience.commit:
            return NOTHING
        if transfer.parked:
            transfer.stashed_query, transfer.stashed_at = frame, now
            return (*self._asked(request, now), *self._knock(transfer, now))
        match transfer.phase:
            case Phase.OFFERED:
                return self._query_offered(transfer, request, tsn, now)
            case Phase.SERVING if request.file_version != transfer.order.file_version:
                return (Reply(self._offer(transfer, request, tsn)),)
            case Phase.SERVING | Phase.HELD if request.file_version == transfer.order.file_version:
                refusal = ota.query_refusal(tsn, self.quirk.refusal_status)
                detail = "the device runs the new version without having been told to"
                return (self._hold(transfer, (Cause.REBOOTED,), detail, refusal, Phase.ACTIVATED, now),)
        return (*self._asked(request, now), Reply(ota.query_refusal(tsn, self.quirk.refusal_status)))

    def _query_offered(self, transfer: Transfer, request: ota.QueryRequest, tsn: int, now: float) -> Effects:
        order = transfer.order
        refusal = ota.query_refusal(tsn, self.quirk.refusal_status)
        if request.file_version == order.file_version:
            detail = f"the device already runs 0x{order.file_version:08x}"
            return (self._hold(transfer, (Cause.ALREADY_CURRENT,), detail, refusal, None, now),)
        if request.file_version > order.file_version and not order.allow_downgrade:
            detail = f"the device runs 0x{request.file_version:08x}, newer than 0x{order.file_version:08x}, and no downgrade was allowed"
            return (self._hold(transfer, (Cause.DECLINED,), detail, refusal, None, now),)
        if not self._hardware_fits(order, request.hardware_version):
            detail = f"hardware version {request.hardware_version} is outside {order.hardware_min} to {order.hardware_max} of the image"
            return (self._hold(transfer, (Cause.DECLINED,), detail, refusal, None, now),)
        detail = f"the device runs 0x{request.file_version:08x} and was offered 0x{order.file_version:08x}"
        return (self._hold(transfer, (Cause.ACCEPTED,), detail, self._offer(transfer, request, tsn), Phase.SERVING, now),)

    @staticmethod
    def _hardware_fits(order: Serve, hardware_version: int | None) -> bool:
        if hardware_version is None or order.hardware_min is None or order.hardware_max is None:
            return True
        return order.hardware_min <= hardware_version <= order.hardware_max

    def _offer(self, transfer: Transfer, request: ota.QueryRequest, tsn: int) -> bytes:
        return ota.query_response(tsn, request, file_version=transfer.order.file_version, size=transfer.size)

    def _end(self, frame: bytes, now: float) -> Effects:
        request = ota.read_end(frame)
        tsn = frame[1]
        transfer = self._transfers.get(request.image_type)
        if request.status != ota.SUCCESS:
            return self._end_badly(transfer, request, tsn, now)
        expected = transfer is not None and request.file_version == transfer.order.file_version
        if transfer is None or not expected or not self._may_have_ended(transfer):
            return (Reply(ota.default_response(tsn, ota.UPGRADE_END, self.quirk.stray_end_status)),)
        transfer.page = None
        transfer.heard = now
        if transfer.pending is not None and now - transfer.pending.since < self._patience.commit:
            return NOTHING
        if transfer.parked:
            return self._knock(transfer, now)
        if transfer.phase in (Phase.HELD, Phase.ACTIVATED):
            return (Reply(self._end_response(transfer, tsn)),)
        return (self._ended_well(transfer, tsn, now),)

    def _ended_well(self, transfer: Transfer, tsn: int, now: float) -> Advance:
        transfer.high_water = transfer.size
        phase = Phase.HELD if transfer.order.hold_activation else Phase.ACTIVATED
        causes = (Cause.TRANSFERRED,) if phase is Phase.HELD else (Cause.TRANSFERRED, Cause.ACTIVATED)
        if transfer.phase is Phase.OFFERED:  # it had the last block before this attempt began
            causes = (Cause.ACCEPTED, *causes)
        detail = "the device holds and has verified the whole image"
        return self._hold(transfer, causes, detail, self._end_response(transfer, tsn, phase=phase), phase, now)

    @staticmethod
    def _may_have_ended(transfer: Transfer) -> bool:
        """An end without its download is a device in a loop; after an adoption the blocks may have been asked for in an earlier life."""
        if transfer.phase in (Phase.HELD, Phase.ACTIVATED):
            return True
        return transfer.reached >= transfer.size or transfer.order.adopted == "transferring"

    def _end_badly(self, transfer: Transfer | None, request: ota.EndRequest, tsn: int, now: float) -> Effects:
        """A failed upgrade is acknowledged by a Default Response SUCCESS, never by an Upgrade End Response (11.13.9.4)."""
        answer = ota.default_response(tsn, ota.UPGRADE_END, ota.SUCCESS)
        served = transfer is not None and transfer.phase is Phase.SERVING and not transfer.parked
        if transfer is None or not served or request.file_version != transfer.order.file_version:
            return (Reply(answer),)
        transfer.page = None
        if transfer.pending is not None and now - transfer.pending.since < self._patience.commit:
            return NOTHING
        word = ota.STATUS_WORDS.get(request.status, f"status 0x{request.status:02x}")
        if request.status == ota.REQUIRE_MORE_IMAGE:
            detail = "the device holds this image and wants another one before it uses them"
            return (self._hold(transfer, (Cause.TRANSFERRED,), detail, answer, Phase.INCOMPLETE, now),)
        cause = Cause.IMAGE_REJECTED if request.status == ota.INVALID_IMAGE else Cause.ABORTED_BY_DEVICE
        held = self._hold(transfer, (cause,), f"the device ended the upgrade with {word} at offset {transfer.high_water}", answer, None, now)
        transfer.parked = cause is Cause.ABORTED_BY_DEVICE
        return (held,)

    def _end_response(self, transfer: Transfer, tsn: int, *, phase: Phase | None = None) -> bytes:
        order = transfer.order
        held = (phase or transfer.phase) is Phase.HELD
        return ota.end_response(
            tsn,
            manufacturer_code=order.manufacturer_code,
            image_type=order.image_type,
            file_version=order.file_version,
            upgrade_time=ota.WAIT_FOR_COMMAND if held else 0,
        )

    # --- time -------------------------------------------------------------------------------------------------------------------------

    def tick(self, now: float) -> Effects:
        """Do what is due: the next block of a page, an Image Notify again, the end of patience."""
        effects: Effects = NOTHING
        for transfer in list(self._transfers.values()):
            if self._due(transfer) <= now:
                effects += self._tick_one(transfer, now)
        return effects

    def _tick_one(self, transfer: Transfer, now: float) -> Effects:
        if transfer.page is not None and transfer.page.due <= now:
            return self._page_block(transfer, transfer.page, now)
        if transfer.phase is Phase.OFFERED:
            if now - transfer.since >= self._offer_patience():
                transfer.parked = True
                detail = f"the device did not ask for the image within {self._offer_patience():.0f} s"
                return (self._advance(transfer, Cause.EXPIRED, detail),)
            return self._notify(transfer, now)
        if now - transfer.heard >= self._silence_patience(transfer):
            transfer.parked = True
            detail = f"the device fell silent at offset {transfer.high_water} of {transfer.size}"
            if self.last_refusal:
                detail += f"; {self.last_refusal}"
            return (self._advance(transfer, Cause.STALLED, detail),)
        return self._notify(transfer, now)

    def _due(self, transfer: Transfer) -> float:
        due = float("inf")
        if transfer.page is not None:
            due = transfer.page.due
        if transfer.parked or transfer.paused or transfer.pending is not None:
            return due
        if transfer.phase is Phase.OFFERED:
            return min(due, transfer.since + self._offer_patience(), self._notify_due(transfer, self._patience.notify_every))
        if transfer.phase is Phase.SERVING:
            silent = transfer.heard + self._silence_patience(transfer)
            nudge = max(self._notify_due(transfer, self._patience.silence_notify), transfer.heard + self._patience.silence_notify)
            return min(due, silent, nudge)
        return due

    def _notify_due(self, transfer: Transfer, every: float) -> float:
        if self.sleepy or not self.quirk.notify or transfer.notifies >= self._patience.notify_limit:
            return float("inf")  # a sleeping device is told when it is heard, not on a timer
        return transfer.since if transfer.notified is None else transfer.notified + every

    def _offer_patience(self) -> float:
        return self._patience.offer_sleepy if self.sleepy else self._patience.offer

    def _silence_patience(self, transfer: Transfer) -> float:
        if transfer.reached >= transfer.size:
            return self.quirk.end_patience or (self._patience.end_sleepy if self.sleepy else self._patience.end)
        return self.quirk.block_patience or (self._patience.block_sleepy if self.sleepy else self._patience.block)

    # --- small parts ------------------------------------------------------------------------------------------------------------------

    def _notify(self, transfer: Transfer, now: float) -> Effects:
        transfer.notified = now
        if not self.quirk.notify:
            return NOTHING
        transfer.notifies += 1
        return (Announce(ota.image_notify(self._next_tsn())),)

    def _asked(self, request: ota.QueryRequest, now: float) -> Effects:
        if now - self._asked_at.get(request.image_type, float("-inf")) < self._patience.asked_every:
            return NOTHING
        if len(self._asked_at) > 16:
            self._asked_at.clear()  # a device that invents image types gets no memory of ours
        self._asked_at[request.image_type] = now
        return (
            Asked(
                manufacturer_code=request.manufacturer_code,
                image_type=request.image_type,
                file_version=request.file_version,
                hardware_version=request.hardware_version,
            ),
        )

    def _knock(self, transfer: Transfer, now: float) -> Effects:
        if now - transfer.knocked < self._patience.knock_every:
            return NOTHING
        transfer.knocked = now
        return (Knock(transfer.order.update),)

    def _hold(self, transfer: Transfer, causes: tuple[Cause, ...], detail: str, frame: bytes, phase: Phase | None, now: float) -> Advance:
        token = next(self._tokens)
        transfer.pending = Pending(token=token, frame=frame, phase=phase, since=now)
        return Advance(update=transfer.order.update, causes=causes, detail=detail, token=token, offset=transfer.high_water)

    @staticmethod
    def _advance(transfer: Transfer, cause: Cause, detail: str) -> Advance:
        return Advance(update=transfer.order.update, causes=(cause,), detail=detail, offset=transfer.high_water)

    def _spend(self, now: float) -> bool:
        """One request without progress; False where the device has used up what it may ask for nothing."""
        self._credit = min(_STRAY_BURST, self._credit + (now - self._credit_at) * _STRAY_PER_SECOND)
        self._credit_at = now
        if self._credit < 1.0:
            return False
        self._credit -= 1.0
        return True

    def _next_tsn(self) -> int:
        self._tsn = (self._tsn + 1) & 0xFF
        return self._tsn
