"""The NCP's end of an ASH connection (UG101): sequence numbers, acknowledgements, the window, repetition, and the failed state."""

from __future__ import annotations

import asyncio
import enum
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from otagate_rig.ezsp import ash
from otagate_rig.ezsp.ash import FrameParser
from otagate_rig.ezsp.enums import ResetCode

WINDOW: Final = 5
"""DATA frames that may wait for their acknowledgement (TX_K)."""
MAX_QUEUED: Final = 512
"""EZSP frames that wait for room in the window; what comes on top is lost."""
ACK_TIMEOUTS: Final = 5
"""Consecutive time-outs after which the link has failed."""
INITIAL_ACK_WAIT: Final = 1.6
MIN_ACK_WAIT: Final = 0.4
MAX_ACK_WAIT: Final = 3.2
NOT_READY_SECONDS: Final = 1.0
"""How long a host can hold callbacks back by one frame with the nRdy flag (T_REMOTE_NOTRDY)."""

_NUMBERS = 7  # the mask of a three-bit frame number


class LinkState(enum.Enum):
    """Whether DATA frames flow."""

    SILENT = "silent"  # only RST is obeyed
    CONNECTED = "connected"
    FAILED = "failed"  # every frame but RST is answered with an ERROR frame


@dataclass(slots=True)
class LinkCounters:
    """What went wrong, and right, below the EZSP frames."""

    retransmissions: int = 0
    ack_timeouts: int = 0
    naks_sent: int = 0
    naks_received: int = 0
    lost_frames: int = 0
    """EZSP frames for the host that found the queue full."""


@dataclass(slots=True)
class _Sent:
    number: int
    payload: bytes
    at: float | None
    """Loop time of the first transmission; None once it has been repeated, which makes its round trip ambiguous."""


class AshLink:
    """Delivers EZSP frames in order, exactly once, as long as the line lets it. Never raises for what a host sends.

    `command` takes each EZSP frame of the host; `reset` is called for RST and has to end in `connect`.
    """

    def __init__(self, *, command: Callable[[bytes], None], reset: Callable[[], None]) -> None:
        self._command = command
        self._reset = reset
        self._loop = asyncio.get_running_loop()
        self._parser = FrameParser()
        self._write: Callable[[bytes], None] | None = None
        self._responses: deque[bytes] = deque()
        self._callbacks: deque[bytes] = deque()
        self._unacknowledged: deque[_Sent] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._release: asyncio.TimerHandle | None = None
        self._failure = ResetCode.UNKNOWN
        self.state = LinkState.SILENT
        self.counters = LinkCounters()
        self.mute = False
        self.corrupt_frames = 0
        self.drop_frames = 0
        self.misheard_frames = 0
        self._start_over()

    @property
    def bad_frames(self) -> int:
        """Frames of the host that could not be read."""
        return self._parser.bad_frames

    # The line

    def attach(self, write: Callable[[bytes], None]) -> None:
        """A host can be heard; `write` takes bytes for it."""
        self._parser.reset()
        self._write = write

    def detach(self) -> None:
        """Nobody listens any more: what waits is lost, and the next host has to begin with RST."""
        self._write = None
        self._start_over()
        self.state = LinkState.SILENT

    def feed(self, data: bytes) -> None:
        """Take bytes from the host."""
        for body in self._parser.feed(data):
            if self.misheard_frames:
                self.misheard_frames -= 1
                self._take(ash.DAMAGED)
            else:
                self._take(body)

    def forget_partial_frame(self) -> None:
        """Drop an incomplete frame."""
        self._parser.reset()

    # The life of the connection

    def connect(self, reason: ResetCode) -> None:
        """The NCP has booted: everything starts at nought, and the host is told with RSTACK."""
        self._start_over()
        self.state = LinkState.CONNECTED
        # The cancel byte ends whatever the old life left half sent.
        self._put(bytes((ash.CANCEL,)) + ash.encode(bytes((ash.RSTACK, ash.VERSION, reason))))

    def fail(self, code: ResetCode) -> None:
        """Enter the failed state and say so with an ERROR frame."""
        self._start_over()
        self.state = LinkState.FAILED
        self._failure = code
        self._put_error()

    def close(self) -> None:
        """Stop every timer; nothing is sent any more."""
        self.detach()

    def _start_over(self) -> None:
        self._responses.clear()
        self._callbacks.clear()
        self._unacknowledged.clear()
        self._expected = 0
        self._next = 0
        self._rejecting = False
        self._ack_due = False
        self._held = False
        self._ack_wait = INITIAL_ACK_WAIT
        self._timeouts = 0
        self._deadline = 0.0
        for handle in (self._timer, self._release):
            if handle is not None:
                handle.cancel()
        self._timer = self._release = None

    # To the host

    def respond(self, payload: bytes) -> bool:
        """Send the response to a command; False when it is lost."""
        return self._submit(self._responses, payload)

    def call_back(self, payload: bytes) -> bool:
        """Send a callback, after all responses that wait; False when it is lost."""
        return self._submit(self._callbacks, payload)

    def _submit(self, queue: deque[bytes], payload: bytes) -> bool:
        if self.state is not LinkState.CONNECTED or self._write is None or self.mute:
            return False
        if len(queue) >= MAX_QUEUED:
            self.counters.lost_frames += 1
            return False
        queue.append(payload)
        self._pump()
        return True

    def _pump(self) -> None:
        while len(self._unacknowledged) < WINDOW:
            if self._responses:
                payload = self._responses.popleft()
            elif self._callbacks and not self._held:
                payload = self._callbacks.popleft()
            else:
                return
            now = self._loop.time()
            sent = _Sent(self._next, payload, now)
            self._next = (self._next + 1) & _NUMBERS
            if not self._unacknowledged:
                self._deadline = now + self._ack_wait
            self._unacknowledged.append(sent)
            self._put_data(sent, 0)
            self._watch_deadline()

    def _watch_deadline(self) -> None:
        # An acknowledgement only moves the deadline, nearly always on, and a timer that is early looks again: cheaper than one for every frame.
        if self._timer is not None:
            if self._timer.when() <= self._deadline:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(self._deadline, self._check_deadline)

    def _put_data(self, sent: _Sent, flag: int) -> None:
        self._ack_due = False
        self._put(ash.encode(bytes((sent.number << 4 | flag | self._expected,)) + ash.randomise(sent.payload)))

    def _put_error(self) -> None:
        self._put(ash.encode(bytes((ash.ERROR, ash.VERSION, self._failure))))

    def _put(self, frame: bytes) -> None:
        if self._write is None or self.mute:
            return
        if self.drop_frames:
            self.drop_frames -= 1
            return
        if self.corrupt_frames:
            self.corrupt_frames -= 1
            frame = ash.corrupt(frame)
        self._write(frame)

    def _check_deadline(self) -> None:
        self._timer = None
        if not self._unacknowledged:
            return
        if self._loop.time() >= self._deadline:
            if not self.mute:
                self._timeouts += 1
                self.counters.ack_timeouts += 1
            if self._timeouts >= ACK_TIMEOUTS:
                self.fail(ResetCode.ACK_TIMEOUTS)
                return
            self._ack_wait = min(2 * self._ack_wait, MAX_ACK_WAIT)
            self._repeat()
        self._watch_deadline()

    def _repeat(self) -> None:
        self._deadline = self._loop.time() + self._ack_wait
        for sent in self._unacknowledged:
            sent.at = None
            self.counters.retransmissions += 1
            self._put_data(sent, ash.RETRANSMITTED)

    # From the host

    def _take(self, body: bytes) -> None:
        control = body[0] if body else 0
        if control == ash.RST and len(body) == 1:
            self._reset()
        elif self.state is not LinkState.CONNECTED:
            if self.state is LinkState.FAILED:
                self._put_error()
        elif not body:
            self._reject()
        elif control < ash.ACK:
            self._take_data(control, body)
        elif len(body) == 1 and control & ash.SHORT_TYPE_MASK in (ash.ACK, ash.NAK):
            self._take_ack(control)
        else:
            self._reject()

    def _take_data(self, control: int, body: bytes) -> None:
        if len(body) <= ash.MIN_DATA or not self._acknowledge(control & _NUMBERS):
            self._reject()
        elif control >> 4 == self._expected:
            self._expected = (self._expected + 1) & _NUMBERS
            self._rejecting = False
            # The response that follows at once carries the acknowledgement; only where there is none does it need a frame of its own.
            self._ack_due = True
            self._command(ash.randomise(body[1:]))
            self._pump()
            if self._ack_due:
                self._put_ack()
        elif control & ash.RETRANSMITTED:
            self._put_ack()
        else:
            self._reject()

    def _take_ack(self, control: int) -> None:
        if not self._acknowledge(control & _NUMBERS):
            self._reject()
            return
        self._hold(bool(control & ash.NOT_READY))
        if control & ash.SHORT_TYPE_MASK == ash.NAK:
            self.counters.naks_received += 1
            self._repeat()
        self._pump()

    def _acknowledge(self, number: int) -> bool:
        """Forget what the host has; False for a number that was never sent."""
        waiting = self._unacknowledged
        if not waiting:
            return number == self._next
        count = number - waiting[0].number & _NUMBERS
        if count > len(waiting):
            return False
        if count:
            now = self._loop.time()
            for _ in range(count):
                sent = waiting.popleft()
                if sent.at is not None:
                    self._ack_wait = min(max(0.875 * self._ack_wait + 0.5 * (now - sent.at), MIN_ACK_WAIT), MAX_ACK_WAIT)
            self._timeouts = 0
            self._deadline = now + self._ack_wait
            if waiting:
                self._watch_deadline()
        return True

    def _hold(self, held: bool) -> None:
        if self._release is not None:
            self._release.cancel()
            self._release = None
        self._held = held
        if held:
            self._release = self._loop.call_later(NOT_READY_SECONDS, self._release_callbacks)

    def _release_callbacks(self) -> None:
        self._release = None
        self._held = False
        self._pump()

    def _put_ack(self) -> None:
        self._ack_due = False
        self._put(ash.encode(bytes((ash.ACK | self._expected,))))

    def _reject(self) -> None:
        # One NAK for all that follows a damaged frame, until the right one comes.
        if not self._rejecting:
            self._rejecting = True
            self.counters.naks_sent += 1
            self._put(ash.encode(bytes((ash.NAK | self._expected,))))
