"""When an OTA transfer wants attention: pure functions of the transfer, the patience and the kind of device. Seconds on the session's clock."""

from __future__ import annotations

from dataclasses import dataclass

from otagate.model.quirks import Quirk
from otagate.sessions.ota_transfer import Patience, Phase, Transfer

NEVER = float("inf")

_NUDGES_A_SILENCE = 10
_LONGEST_WAIT = 300
_LONGEST_AWAY = 0xFFFF
_PARKED_SHARE = 4


@dataclass(frozen=True, slots=True)
class Timing:
    """The waits of one kind of device."""

    patience: Patience
    quirk: Quirk
    sleepy: bool

    def due(self, transfer: Transfer) -> float:
        """When `tick` has something to do, or NEVER."""
        if transfer.page is not None:
            return transfer.page.due
        if transfer.pending is not None:
            return transfer.pending.told + self.patience.commit
        if not transfer.waiting:
            return NEVER
        if transfer.phase is Phase.OFFERED:
            return min(self.offer_ends(transfer), self._by_itself(transfer))
        if transfer.phase is Phase.SERVING:
            return min(self.silence_ends(transfer), self._by_itself(transfer))
        return NEVER

    def offer(self) -> float:
        """How long an offer stands."""
        return self.patience.offer_sleepy if self.sleepy else self.patience.offer

    def offer_ends(self, transfer: Transfer) -> float:
        """When an offer that nobody asks for is given up."""
        return transfer.since + self.offer()

    def silence_ends(self, transfer: Transfer) -> float:
        """When a transfer without progress is given up."""
        return transfer.moved + self._silence(transfer)

    def notify_due(self, transfer: Transfer) -> float:
        """The earliest moment of the next Image Notify to a device that listens then, or NEVER."""
        quirk = self._quirk(transfer)
        if not quirk.notify or not transfer.waiting:
            return NEVER
        last = transfer.since if transfer.notified is None else transfer.notified
        spent = transfer.notifies >= self.patience.notify_limit
        if transfer.phase is Phase.OFFERED:
            # one that sleeps misses most of them, so its limit is the offer's end
            return NEVER if spent and not self.sleepy else last + max(self.patience.notify_every, quirk.query_patience)
        if transfer.phase is not Phase.SERVING or spent or transfer.reached >= transfer.size:
            return NEVER  # a device that checks its image needs no hurry
        silent = max(self.patience.silence_notify, self._silence(transfer) / _NUDGES_A_SILENCE)
        if transfer.order.adopted is not None and not transfer.reached and not transfer.notifies:
            silent = max(silent, self.patience.rejoin)
        return max(last + self.patience.silence_notify, transfer.heard + silent)

    def parked_wait(self, transfer: Transfer, now: float) -> int:
        """Seconds after which a parked device may knock again; more and more, because a night of knocks empties a battery."""
        age = now - (now if transfer.parked_at is None else transfer.parked_at)
        return self._wait(min(max(self.patience.knock_every, age / _PARKED_SHARE), self.patience.wait_for_data))

    def paused_wait(self) -> int:
        """Seconds after which a paused device may ask again."""
        return self._wait(self.patience.wait_for_data)

    @staticmethod
    def away_wait(seconds: float) -> int:
        """Seconds after which a device may ask again whose server goes away: up to 18 hours, as far as clients with 16 bits count."""
        return min(_LONGEST_AWAY, max(1, int(seconds)))

    @staticmethod
    def _wait(seconds: float) -> int:
        return min(_LONGEST_WAIT, max(1, int(seconds)))

    def _by_itself(self, transfer: Transfer) -> float:
        """A sleeping device is notified when it is heard, never on a timer."""
        return NEVER if self.sleepy else self.notify_due(transfer)

    def _silence(self, transfer: Transfer) -> float:
        quirk = self._quirk(transfer)
        if transfer.reached >= transfer.size:
            return quirk.end_patience or (self.patience.end_sleepy if self.sleepy else self.patience.end)
        return quirk.block_patience or (self.patience.block_sleepy if self.sleepy else self.patience.block)

    def _quirk(self, transfer: Transfer) -> Quirk:
        return self.quirk.of_type(transfer.order.image_type)
