"""Whether somebody else drives a coordinator: found out before we send it a byte.

Who has a serial port open the kernel knows. A network coordinator has no lock. What is heard on its line tells: an answer was asked for by another
host; an indication is what a coordinator says by itself while its network runs, harmless only where we left it running ourselves; a boot message is
nobody's word.
"""

from __future__ import annotations

import asyncio
import enum
import functools
import operator
from collections.abc import Callable, Iterator
from contextlib import suppress
from urllib.parse import urlsplit

from otagate.model.errors import PortHeld, RadioInUse, RadioUnavailable
from otagate.radios import ash
from otagate.radios.holders import holding

LISTEN_SECONDS = 3.0
"""This long nobody else may be heard on the line before we send the first byte."""

LET_GO_SECONDS = 0.05
"""A bridge for one host needs a moment to notice that it is free."""

_CONNECT_BOUND = 5.0
_TURNED_AWAY_WITHIN = 0.5
"""A bridge for one host that has one closes the next connection at once; later, somebody else has taken the line."""

_HEARD_BOUND = 65_536


class Heard(enum.IntEnum):
    """What bytes on a line prove, the worst last."""

    NOTHING = 0
    INDICATIONS = 1
    ANOTHER_HOST = 2


Judge = Callable[[bytes], Heard]
"""Everything heard so far → what it proves."""


def judge_any(heard: bytes) -> Heard:
    """For a protocol that is not read here: every byte may come from a network that runs by itself."""
    return Heard.INDICATIONS if heard else Heard.NOTHING


def judge_mt(heard: bytes) -> Heard:
    """Monitor and Test API (Z-Stack): a synchronous response was asked for; a reset indication proves nothing; bytes that are no frames prove all."""
    worst, understood = Heard.NOTHING, not heard
    for command in _mt_commands(heard):
        understood = True
        if command[0] & 0xE0 == 0x60:
            return Heard.ANOTHER_HOST
        if command != b"\x41\x80":
            worst = Heard.INDICATIONS
    return worst if understood else Heard.ANOTHER_HOST


def _mt_commands(heard: bytes) -> Iterator[bytes]:
    """The two command bytes of every whole frame, and of one that is cut off at the end."""
    position = heard.find(0xFE)
    while 0 <= position <= len(heard) - 4:
        after = position + heard[position + 1] + 5
        frame = heard[position + 1 : after]
        cut_off = after > len(heard)
        if heard[position + 2] & 0xE0 in (0x40, 0x60) and (cut_off or functools.reduce(operator.xor, frame) == 0):
            yield heard[position + 2 : position + 4]
            position = heard.find(0xFE, after)
        else:
            position = heard.find(0xFE, position + 1)


def judge_ash(heard: bytes) -> Heard:
    """ASH (EmberZNet): an acknowledgement or an answer was earned by another host; a reset or error notice proves nothing; data may be a callback."""
    worst = Heard.NOTHING
    for frame in heard.replace(b"\x1a", b"\x7e").split(b"\x7e"):
        if frame and frame[0] not in (0xC1, 0xC2):
            earned = 0x80 <= frame[0] <= 0xBF or _is_answer(frame)
            worst = max(worst, Heard.ANOTHER_HOST if earned else Heard.INDICATIONS)
    return worst


def _is_answer(frame: bytes) -> bool:
    """Whether it is a DATA frame with an EZSP response that is no callback (UG100, frame control: bit 7, and bits 3 and 4)."""
    whole = ash.unpack(frame)
    if whole is None or whole[0] & 0x80 or len(whole) < 3:
        return False
    _sequence, control = ash.randomise(whole[1:3])
    return bool(control & 0x80) and not control & 0x18


class LineCut(RadioUnavailable):
    """A network coordinator closed a connection that it had taken."""


async def require_free(path: str, seconds: float, *, judge: Judge, left_running: bool) -> None:
    """Of a serial port ask the kernel; on `socket://host:port` listen for `seconds`. `left_running`: its network may run without a host.

    Raises PortHeld where somebody else has it open, RadioInUse where another host is heard, RadioUnavailable when the address cannot be reached, and
    LineCut when the connection is closed later.
    """
    if path.startswith("socket://"):
        await _listen(path, seconds, judge=judge, left_running=left_running)
        return
    found = await asyncio.to_thread(holding, path)
    if found.holders:
        raise PortHeld(f"{path} is held by {found.names}: stop that, and it is opened")


async def _listen(path: str, seconds: float, *, judge: Judge, left_running: bool) -> None:
    try:
        address = urlsplit(path)
        if not address.hostname or not address.port:
            raise ValueError(path)
        async with asyncio.timeout(_CONNECT_BOUND):
            reader, writer = await asyncio.open_connection(address.hostname, address.port)
    except ValueError:  # a name with an empty part is one, too
        raise RadioUnavailable(f"{path} is no address: write socket://host:port") from None
    except (OSError, TimeoutError) as error:
        raise RadioUnavailable(f"{path} cannot be reached: {str(error) or 'no answer'}") from None
    try:
        heard = judge(await _hear(reader, path, seconds))
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
    if heard > (Heard.INDICATIONS if left_running else Heard.NOTHING):
        raise RadioInUse(
            f"another program drives {path}: it was heard before we sent a byte; stop it, or switch the coordinator off and on "
            "where none runs any more, then reattach the radio"
        )
    await asyncio.sleep(LET_GO_SECONDS)


async def _hear(reader: asyncio.StreamReader, path: str, seconds: float) -> bytes:
    """Everything that is said in that time, up to a bound."""
    heard, loop = b"", asyncio.get_running_loop()
    began = loop.time()
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while len(heard) < _HEARD_BOUND:
                try:
                    data = await reader.read(4_096)
                except OSError as error:
                    if not isinstance(error, ConnectionError):
                        raise RadioUnavailable(f"{path} failed: {error}") from None
                    data = b""
                if not data and loop.time() - began < _TURNED_AWAY_WITHIN:
                    raise PortHeld(f"{path} turns us away: another program is connected to it; stop that")
                if not data:
                    raise LineCut(f"{path} closed the connection: another program may be connected to it")
                heard += data
    return heard
