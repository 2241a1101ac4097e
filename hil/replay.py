"""Play a trace to the OTA server of today, without hardware: would it answer these very requests with these very bytes again?

    python -m hil.replay trace.jsonl

A trace put into `tests/hil/traces/` is a test from then on. What the hub decided at that time (which image, when to pause, when to stop) is taken
from its recorded answers; what is judged is every answer to a request: the bytes of blocks, queries, ends and refusals.
"""

from __future__ import annotations

import itertools
import struct
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from hil.traces import Frame, TraceError, read
from otagate import quirks
from otagate.model.ids import UpdateId, zigbee_component_id, zigbee_device_id
from otagate.model.orders import Pause, Resume, Serve, Withdraw
from otagate.sessions.effects import Advance, Effects, Reply
from otagate.sessions.ota_transfer import Patience
from otagate.sessions.zigbee import OtaServer

QUERY, QUERY_ANSWER, BLOCK, BLOCK_ANSWER, PAGE, END, END_ANSWER = 0x01, 0x02, 0x03, 0x05, 0x04, 0x06, 0x07
SUCCESS, ABORT, WAIT_FOR_DATA = 0x00, 0x95, 0x97
HOLD = 0xFFFF_FFFF
MAX_IMAGE = 16 << 20
ANSWERED_WITHIN = 30.0
"""Seconds after a request within which an answer with its number counts as its own; numbers come again."""

_OFFER = struct.Struct("<HHII")
_DATA = struct.Struct("<HHIIB")
_ENDED = struct.Struct("<HHIII")
_ASKED = struct.Struct("<BHHI")
_ENDLESS = Patience().scaled(1e-6)


class Release(NamedTuple):
    """What names an image in the protocol."""

    manufacturer_code: int
    image_type: int
    file_version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One answer that is another one today; `now` is None where there is none."""

    at: float
    nwk: int
    request: bytes
    then: bytes
    now: bytes | None

    def __str__(self) -> str:
        now = "no answer" if self.now is None else self.now.hex()
        return f"at {self.at:.3f} s, device 0x{self.nwk:04x}: to {self.request.hex()} it was {self.then.hex()} and is {now}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a trace came to: requests that had an answer, those whose answer differs, blocks with data, images offered, ends by their status."""

    answered: int
    differences: tuple[Difference, ...]
    blocks: int
    releases: tuple[Release, ...]
    ends: tuple[int, ...]


def replay(frames: Sequence[Frame]) -> Outcome:
    """Play all devices of a trace, one after the other. Raises TraceError where two answers give different bytes for one place of an image."""
    images = _images(frames)
    players = [_Player(images) for _ in {frame.nwk for frame in frames}]
    for nwk, player in zip(sorted({frame.nwk for frame in frames}), players, strict=True):
        player.play([frame for frame in frames if frame.nwk == nwk])
    return Outcome(
        answered=sum(each.answered for each in players),
        differences=tuple(difference for each in players for difference in each.differences),
        blocks=sum(each.blocks for each in players),
        releases=tuple(images),
        ends=tuple(frame.frame[3] for frame in frames if frame.way == "in" and frame.command == END and len(frame.frame) > 3),
    )


# --- what the hub had -----------------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Image:
    data: bytearray = field(default_factory=bytearray)
    known: bytearray = field(default_factory=bytearray)
    held: bool = False

    def put(self, offset: int, data: bytes) -> bool:
        """Note what was sent for this place; False where something else was sent for it before."""
        end = offset + len(data)
        self.grow(end)
        fits = all(not known or byte == old for known, byte, old in zip(self.known[offset:end], data, self.data[offset:end], strict=True))
        self.data[offset:end], self.known[offset:end] = data, b"\1" * len(data)
        return fits

    def grow(self, size: int) -> None:
        if size > MAX_IMAGE:
            raise TraceError(f"an image of {size} bytes")
        self.data.extend(bytes(max(size - len(self.data), 0)))
        self.known.extend(bytes(max(size - len(self.known), 0)))


def _images(frames: Iterable[Frame]) -> dict[Release, _Image]:
    """Every image that was offered or sent, as far as it was."""
    found: dict[Release, _Image] = {}
    for frame in frames:
        if frame.way == "in":
            continue
        release, body = _release_in(frame), frame.frame
        if release is None:
            continue
        image = found.setdefault(release, _Image())
        if frame.command == QUERY_ANSWER:
            image.grow(_OFFER.unpack_from(body, 4)[3])
        elif frame.command == END_ANSWER:
            image.held |= _ENDED.unpack_from(body, 3)[4] == HOLD
        else:
            offset = _DATA.unpack_from(body, 4)[3]
            if not image.put(offset, body[4 + _DATA.size :]):
                raise TraceError(f"at {frame.at:.3f} s: two different answers for byte {offset} and on of 0x{release.file_version:08x}")
    return found


def _release_in(frame: Frame) -> Release | None:
    """The image that an answer offers, holds or ends; None for every other frame."""
    body, start = frame.frame, {QUERY_ANSWER: 4, BLOCK_ANSWER: 4, END_ANSWER: 3}.get(frame.command or 0)
    size = {QUERY_ANSWER: _OFFER.size, BLOCK_ANSWER: _DATA.size, END_ANSWER: _ENDED.size}.get(frame.command or 0, 0)
    if start is None or len(body) < start + size or (start == 4 and body[3] != SUCCESS):
        return None
    return Release(*struct.unpack_from("<HHI", body, start))


# --- playing --------------------------------------------------------------------------------------------------------------------------------


class _Player:
    """One device and the session that serves it today."""

    def __init__(self, images: dict[Release, _Image]) -> None:
        self._images = images
        self._quirk_of = quirks.load()
        self._session = OtaServer(tokens=itertools.count(1), patience=_ENDLESS)
        self._numbers = itertools.count(1)
        self._served: dict[tuple[int, int], tuple[Release, UpdateId]] = {}
        self._over: set[UpdateId] = set()
        self._paused: set[UpdateId] = set()
        self._sent: set[bytes] = set()
        self.answered = 0
        self.blocks = 0
        self.differences: list[Difference] = []

    def play(self, frames: Sequence[Frame]) -> None:
        """Every frame of the device in order."""
        answers = _answers(frames)
        further: list[Frame] = []  # of a page, which may leave a little earlier or later than it did; or sent again
        last = frames[0]
        for number, frame in enumerate(frames):
            self._pass_time(frame.at)
            if frame.way == "in" and frame.command is not None:
                last = frame
                self._ask(frame, frames[answers[number]] if number in answers else None)
            elif frame.way == "out" and frame.command == BLOCK_ANSWER:
                self.blocks += frame.frame[3] == SUCCESS
                if number not in answers.values():
                    further.append(frame)
        self._pass_time(frames[-1].at + 1)
        for frame in further:
            if frame.frame not in self._sent:
                self.differences.append(Difference(at=frame.at, nwk=frame.nwk, request=last.frame, then=frame.frame, now=None))

    def _ask(self, request: Frame, then: Frame | None) -> None:
        if then is not None:
            self._decide(request, then)
        replies = self._perform(self._session.receive(request.frame, request.at), request.at)
        if then is None:
            return
        self.answered += 1
        now = replies[0] if replies else None
        if now is None or not _same(then.frame, now):
            self.differences.append(Difference(at=request.at, nwk=request.nwk, request=request.frame, then=then.frame, now=now))

    def _perform(self, effects: Effects, at: float) -> list[bytes]:
        """The replies; what must be durable first is so at once."""
        replies: list[bytes] = []
        for effect in effects:
            if isinstance(effect, Reply):
                replies.append(effect.frame)
                self._sent.add(effect.frame)
            elif isinstance(effect, Advance):
                replies += self._perform(self._session.committed(effect.token, at), at)
        return replies

    def _pass_time(self, until: float) -> None:
        while (due := self._session.wake_at()) is not None and due <= until:
            self._perform(self._session.tick(due), due)

    # --- what the hub decided then --------------------------------------------------------------------------------------------------

    def _decide(self, request: Frame, then: Frame) -> None:
        release, status = _release_in(then), then.frame[3] if len(then.frame) > 3 else SUCCESS
        if len(request.frame) < 3 + _ASKED.size:
            return
        _, maker, image_type, version = _ASKED.unpack_from(request.frame, 3)
        self._session.quirk = self._quirk_of(maker, None)
        key = (maker, image_type)
        if release is not None:
            self._serve(release, key, version, request)
        elif request.command == QUERY or status == ABORT:
            self._withdraw(key)
        elif status == WAIT_FOR_DATA and key in self._served:
            update = self._served[key][1]
            self._paused.add(update)
            self._session.command(Pause(update=update), request.at)

    def _serve(self, release: Release, key: tuple[int, int], version: int, request: Frame) -> None:
        known, update = self._served.get(key, (None, None))
        again = request.command == QUERY and update in self._over
        if known != release or update is None or again:
            self._withdraw(key)
            update = UpdateId(f"u{next(self._numbers)}")
            self._served[key] = (release, update)
            self._order(release, update, version, request)
        if update in self._paused:
            self._paused.discard(update)
            self._session.command(Resume(update=update), request.at)
        if request.command == END:
            self._over.add(update)

    def _order(self, release: Release, update: UpdateId, version: int, request: Frame) -> None:
        image = self._images[release]
        queried = request.command == QUERY
        order = Serve(
            update=update,
            device=zigbee_device_id(request.nwk),
            component=zigbee_component_id(release.image_type),
            manufacturer_code=release.manufacturer_code,
            image_type=release.image_type,
            file_version=release.file_version,
            image=memoryview(bytes(image.data)),
            from_version=version if queried else None,
            allow_downgrade=True,
            hold_activation=image.held,
            adopted=None if queried else "transferring",
        )
        self._session.command(order, request.at)

    def _withdraw(self, key: tuple[int, int]) -> None:
        served = self._served.pop(key, None)
        if served is not None:
            self._session.command(Withdraw(update=served[1]), 0.0)


def _answers(frames: Sequence[Frame]) -> dict[int, int]:
    """Place of each request → place of its answer: the first that carries its number, before the device uses that number again."""
    found: dict[int, int] = {}
    open_: dict[int, int] = {}
    for place, frame in enumerate(frames):
        if frame.way == "in" and frame.command in (QUERY, BLOCK, PAGE, END):
            open_[frame.tsn] = place
        elif frame.way == "out" and frame.tsn in open_ and _may_answer(frames[open_[frame.tsn]], frame):
            found[open_.pop(frame.tsn)] = place
    return found


def _may_answer(request: Frame, answer: Frame) -> bool:
    kinds = {QUERY: QUERY_ANSWER, BLOCK: BLOCK_ANSWER, PAGE: BLOCK_ANSWER, END: END_ANSWER}
    return answer.command in (kinds[request.command or 0], None) and answer.at - request.at <= ANSWERED_WITHIN


def _same(then: bytes, now: bytes) -> bool:
    """Equal; how long a device is told to wait depends on what else the hub had to do."""
    if len(then) > 3 and then[2] == BLOCK_ANSWER and then[3] == WAIT_FOR_DATA:
        return now[:4] == then[:4]
    return now == then


def main() -> int:
    """The command line: 0 where every answer is the same."""
    worst = 0
    for name in sys.argv[1:]:
        try:
            outcome = replay(read(Path(name)))
        except (TraceError, OSError) as error:
            print(error, file=sys.stderr)
            return 2
        print(f"{name}: {outcome.answered} answers, {outcome.blocks} blocks, {len(outcome.differences)} differences")
        for difference in outcome.differences:
            print(f"  {difference}")
        worst = max(worst, int(bool(outcome.differences)))
    return worst


if __name__ == "__main__":
    sys.exit(main())
