"""Serial ports, and what answers on each: a few bytes that ask for a version, a bounded wait, and nothing on a port that somebody holds."""

from __future__ import annotations

import asyncio
import binascii
import functools
import operator
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal

from otagate.model.errors import RadioError, RadioInUse, RadioUnavailable
from otagate.model.text import readable
from otagate.radios import stacks
from otagate.radios.holders import Holder
from otagate.radios.holders import holding as holding
from otagate.radios.listening import judge_any, require_free

Kind = Literal["znp", "ezsp", "deconz", "zwave"]

_OPEN_BOUND = 5.0
_HEARD_BOUND = 4_096
_LISTEN = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """A serial port: `path` is its name that survives a restart, where it has one. Texts are what the stick says of itself."""

    path: str
    device: str
    manufacturer: str | None = None
    product: str | None = None
    serial_number: str | None = None
    usb: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What became of asking. `answers` is None where nothing did, or where it was not asked: `sentence` says.

    `blind`: a program of another user may hold the port without a lock, and this user could not see it.
    """

    asked: bool
    sentence: str
    answers: Kind | None = None
    baudrate: int | None = None
    holders: tuple[Holder, ...] = ()
    blind: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is sent and what proves an answer; `seconds` is the wait. `read` gives a sentence, or None for what proves nothing."""

    kind: Kind
    baudrate: int
    request: bytes
    read: Callable[[bytes], str | None]
    seconds: float


def list_ports() -> list[Port]:
    """The serial ports of this machine, those on USB first."""
    import serialx

    found = [
        Port(
            path=each.device,
            device=each.resolved_device,
            manufacturer=_clean(each.manufacturer),
            product=_clean(each.product),
            serial_number=_clean(each.serial_number),
            usb=each.vid is not None,
        )
        for each in serialx.list_serial_ports()
    ]
    return sorted(found, key=lambda each: (not each.usb, each.path))


def _clean(text: str | None) -> str | None:
    return readable(text, longest=64)


async def probe(path: str) -> Finding:
    """Find out what answers behind a path or `socket://host:port`, unless somebody holds it. Never raises for what it finds."""
    try:
        if "://" in path:
            await require_free(path, _LISTEN, judge=judge_any, left_running=False)
            return await _ask_all(path)
        held = holding(path)
        if held.holders:
            return Finding(asked=False, sentence=f"not asked: {held.names} holds it", holders=held.holders, blind=held.blind)
        return replace(await _ask_all(path), blind=held.blind)
    except RadioInUse as error:
        return Finding(asked=False, sentence=f"not asked: {error}")
    except RadioError as error:
        return Finding(asked=False, sentence=str(error))


async def _ask_all(path: str) -> Finding:
    for question in QUESTIONS:
        heard = await _ask(path, question)
        sentence = question.read(heard)
        if sentence is not None:
            return Finding(asked=True, answers=question.kind, baudrate=question.baudrate, sentence=sentence)
    return Finding(asked=True, sentence="nothing that is known here answers")


async def _ask(path: str, question: Question) -> bytes:
    """Send one question; everything that is heard until it is answered or the wait is over."""
    import serialx

    try:
        async with asyncio.timeout(_OPEN_BOUND):
            reader, writer = await serialx.open_serial_connection(path, baudrate=question.baudrate, exclusive=True)
    except TimeoutError:
        raise RadioUnavailable("it cannot be opened: no answer") from None
    except OSError as error:
        raise RadioUnavailable(_unopened(error)) from None
    except serialx.SerialException as error:
        raise RadioUnavailable(f"not asked: {error}") from None
    heard = b""
    try:
        with suppress(TimeoutError, OSError):
            async with asyncio.timeout(question.seconds):
                writer.write(question.request)
                await writer.drain()
                while len(heard) < _HEARD_BOUND and question.read(heard) is None:
                    data = await reader.read(256)
                    if not data:
                        break
                    heard += data
    finally:
        writer.close()
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(_OPEN_BOUND):
                await writer.wait_closed()
    return heard


def _unopened(error: OSError) -> str:
    match error:
        case FileNotFoundError():
            return "it does not exist: is the stick plugged in, and is the path right?"
        case PermissionError():
            return "this user may not open it: join the group dialout (sudo usermod -aG dialout USER) and log in again"
    return f"not asked: {error.strerror or error}"


# --- the questions ------------------------------------------------------------------------------------------------------------------------


def _read_mt(heard: bytes) -> str | None:
    """SYS_PING's answer: FE, two octets, 61 01, the capabilities, the exclusive or of all (Monitor and Test API, 3.12.1.2)."""
    at = heard.find(b"\xfe\x02\x61\x01")
    frame = heard[at + 1 : at + 7]
    if at < 0 or len(frame) < 6 or functools.reduce(operator.xor, frame) != 0:
        return None
    return "a Zigbee coordinator with Z-Stack (Texas Instruments)"


def _read_ash(heard: bytes) -> str | None:
    """RSTACK: C1, the version, the reset code, a CRC-CCITT, 7E (ASH, UG101 3.3)."""
    for part in heard.replace(b"\x1a", b"\x7e").split(b"\x7e")[:-1]:
        frame = _unstuff(part)
        if len(frame) == 5 and frame[0] == 0xC1 and binascii.crc_hqx(frame[:3], 0xFFFF) == int.from_bytes(frame[3:], "big"):
            return f"a Zigbee coordinator with EmberZNet (Silicon Labs), ASH version {frame[1]}"
    return None


def _unstuff(part: bytes) -> bytes:
    pieces = part.split(b"\x7d")
    return pieces[0] + b"".join(bytes((each[0] ^ 0x20,)) + each[1:] for each in pieces[1:] if each)


def _read_deconz(heard: bytes) -> str | None:
    """Command 0x0D read firmware version, framed by SLIP with a sum at its end (deCONZ serial protocol)."""
    for part in heard.split(b"\xc0"):
        frame = part.replace(b"\xdb\xdc", b"\xc0").replace(b"\xdb\xdd", b"\xdb")
        if len(frame) == 11 and frame[0] == 0x0D and frame[2] == 0 and (sum(frame[:-2]) + int.from_bytes(frame[-2:], "little")) & 0xFFFF == 0:
            return f"a ConBee or RaspBee (dresden elektronik), firmware 0x{int.from_bytes(frame[5:9], 'little'):08x}"
    return None


def _read_zwave(heard: bytes) -> str | None:
    """The answer to GET_VERSION: an acknowledgement, then SOF, a length, response 0x15 and the library's name (Z-Wave host API)."""
    at = heard.find(b"\x01\x10\x01\x15Z-Wave ")
    if at < 0 or len(heard) < at + 18:
        return None
    version = heard[at + 4 : at + 16].rstrip(b"\0").decode("ascii", "replace")
    return f"a Z-Wave controller ({version}): give it to Z-Wave JS, and the hub its address"


_DECONZ = bytes.fromhex("c0 0d01000900 00000000 e9ff c0")

QUESTIONS: tuple[Question, ...] = (
    Question(kind="znp", baudrate=115_200, request=bytes.fromhex("fe00210120"), read=_read_mt, seconds=0.7),
    Question(kind="zwave", baudrate=115_200, request=bytes.fromhex("01030015e9"), read=_read_zwave, seconds=0.7),
    # Cancel, then reset: the one question that an EmberZNet stick answers to anybody. It restarts a stick that no host drives now.
    Question(kind="ezsp", baudrate=115_200, request=bytes.fromhex("1ac038bc7e"), read=_read_ash, seconds=1.5),
    Question(kind="deconz", baudrate=115_200, request=_DECONZ, read=_read_deconz, seconds=0.7),
    Question(kind="deconz", baudrate=38_400, request=_DECONZ, read=_read_deconz, seconds=0.7),
    Question(kind="ezsp", baudrate=460_800, request=bytes.fromhex("1ac038bc7e"), read=_read_ash, seconds=1.5),
)
"""In this order: those that disturb nobody first. Each is sent at its own speed."""


def configuration(path: str, finding: Finding, *, name: str = "zigbee0") -> str | None:
    """The lines of the configuration that use what was found; None where the hub drives no such stick."""
    if finding.answers not in stacks.STACKS:
        return None
    lines = [f"  - name: {name}", f"    type: {finding.answers}", f"    path: {path}"]
    if finding.baudrate not in (None, 115_200):
        lines.append(f"    baudrate: {finding.baudrate}")
    return "\n".join(lines)
