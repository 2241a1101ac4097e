"""When a failed attempt is made again, and when it is enough.

Some devices give up every few percent and finish after a dozen notifications, so what is counted is attempts that got nowhere. Others take a
whole image again and again without ever using it, so what is counted there is whole transfers. Others again heed no notification and ask by
themselves once a day: to them the offer stands for days.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from otagate.model.ids import UpdateId
from otagate.model.updates import Update
from otagate.model.verdicts import Verdict, hold
from otagate.policy.settings import PolicySettings

COMPLETED_TRANSFERS = 2
"""So many whole transfers that left the version unchanged are a loop."""

FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(hours=1)
UNASKED_PAUSE = timedelta(hours=6)
UNASKED_OFFERS = 56
"""An offer that nobody takes is made so many times more, which is two weeks; a device that asks meanwhile is served at once."""

FETCH_AGAIN = timedelta(minutes=5)
"""So long a source that is away is left before a file is asked for again; the update loses no attempt by it."""

FETCH_BACKOFF = timedelta(hours=6)
"""So long a file that was not the promised one is not asked for again."""

_SPREAD = 0.2  # devices that failed together (a radio was gone) shall not all come back at the same moment


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """What becomes of an update after an attempt: `attempts` to store, and either `not_before` (verdict `hold`) or None: spent (verdict `refuse`)."""

    attempts: int
    not_before: datetime | None
    verdict: Verdict

    @property
    def spent(self) -> bool:
        """Whether no attempt is left."""
        return self.not_before is None


def progressed(began_at: int, reached: int, total: int) -> bool:
    """Whether the high-water mark rose by at least one percent of the image; all in bytes."""
    return total > 0 and (reached - began_at) * 100 >= total


def after_attempt(update: Update, *, began_at: int, reached: int, settings: PolicySettings, now: datetime, unasked: bool = False) -> Retry:
    """Decide after an attempt that stalled, expired, was aborted by the device or could not fetch.

    `began_at` and `reached` are the high-water marks in bytes at its beginning and end. An attempt that progressed begins the count anew; a
    fixed pause then keeps the pace of devices that need many notifications. `unasked`: the device did not even ask for the image.
    """
    loop = judge_loop(update.completed_transfers)
    if not loop.allowed:
        return Retry(attempts=update.attempts, not_before=None, verdict=loop)
    if progressed(began_at, reached, update.bytes_total):
        return _again(0, _spread(FIRST_PAUSE, update.id, 0), "The attempt made progress; the next begins", now)
    attempts = update.attempts + 1
    if unasked and 0 < settings.retries < attempts <= settings.retries + UNASKED_OFFERS:
        sentence = "The device heeds no notification; it is served when it asks by itself, and notified again"
        return _again(attempts, _spread(UNASKED_PAUSE, update.id, attempts), sentence, now)
    if attempts > settings.retries:
        sentence = f"{attempts} attempts in a row made no progress; {settings.retries} retries are allowed."
        return Retry(attempts=attempts, not_before=None, verdict=Verdict(decision="refuse", sentence=sentence, code="retries-spent"))
    # The exponent is bounded before it is used: the count of retries comes from a configuration.
    pause = min(FIRST_PAUSE * 2 ** min(attempts - 1, 10), LONGEST_PAUSE)
    return _again(attempts, _spread(pause, update.id, attempts), f"Attempt {attempts} made no progress; the next begins", now)


def judge_loop(completed_transfers: int) -> Verdict:
    """The loop breaker: refuse (`quarantined`, code `update-loop`) after two whole transfers with the version unchanged."""
    if completed_transfers < COMPLETED_TRANSFERS:
        return Verdict(decision="allow", sentence="The image was not taken in vain before.", facts={"completed_transfers": completed_transfers})
    sentence = f"The device took the whole image {completed_transfers} times and still runs the version it had."
    facts = {"completed_transfers": completed_transfers}
    return Verdict(decision="refuse", sentence=sentence, reason="quarantined", code="update-loop", facts=facts)


def _again(attempts: int, pause: timedelta, sentence: str, now: datetime) -> Retry:
    when = now + pause
    return Retry(attempts=attempts, not_before=when, verdict=hold("backoff", f"{sentence} after {when.isoformat(timespec='seconds')}."))


def _spread(pause: timedelta, update: UpdateId, attempt: int) -> timedelta:
    """Lengthen a pause by up to a fifth, by a share that the update's id decides, so that it can be told before and tested."""
    share = zlib.crc32(f"{update}/{attempt}".encode()) / 0xFFFF_FFFF
    return pause * (1 + _SPREAD * share)
