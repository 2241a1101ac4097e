"""Injuries for firmware files: some at random, some by one who knows where the lengths, tags and counts are.

The layout is read here once more, from the specifications and without the formats under test, so that both cannot agree on the same mistake.
"""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

MAGIC = b"\x1e\xf1\xee\x0b"
HEADER = ((4, 2), (6, 2), (8, 2), (10, 2), (12, 2), (14, 4), (18, 2), (52, 4))
"""Place and size of the numbers in the mandatory header, after the magic."""

WORDS = (0, 1, 4, 55, 56, 57, 60, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0xFFFF, 0x7FFF_FFFF, 0xFFFF_FFFE, 0xFFFF_FFFF)
GBL, EBL = b"\xeb\x17\xa6\x03", (b"\x00\x00\x00\x8c", b"\xfb\x05\x00\x06")


@dataclass(frozen=True)
class Number:
    """A number in a file that says something about the rest of it."""

    at: int
    size: int
    order: Literal["little", "big"] = "little"

    def read(self, data: bytes | bytearray) -> int:
        return int.from_bytes(data[self.at : self.at + self.size], self.order)

    def write(self, data: bytearray, value: int) -> None:
        data[self.at : self.at + self.size] = (value % (1 << 8 * self.size)).to_bytes(self.size, self.order)


@dataclass(frozen=True)
class Layout:
    """Where things are in one sound file: the OTA header, its numbers and those inside, and the sub-elements with their heads."""

    header: int
    numbers: tuple[Number, ...]
    elements: tuple[tuple[int, int], ...]


def layout(data: bytes) -> Layout:
    """Read the layout of a sound file."""
    header = data.index(MAGIC)
    numbers = [Number(header + at, size) for at, size in HEADER]
    if data.startswith(b"NGIS"):
        numbers += [Number(at, 4) for at in range(4, 40, 4)]
    elif header:
        numbers.append(Number(0, 4))
    (length,) = struct.unpack_from("<H", data, header + 6)
    numbers += [Number(header + at, 2) for at in range(56, length, 2)]
    (total,) = struct.unpack_from("<I", data, header + 52)
    position, elements = header + length, []
    while position + 6 <= header + total:
        numbers += [Number(position, 2), Number(position + 2, 4)]
        end = min(position + 6 + struct.unpack_from("<I", data, position + 2)[0], header + total)
        elements.append((position, end))
        numbers += inside(data, position + 6, end)
        position = end
    return Layout(header=header, numbers=tuple(numbers), elements=tuple(elements))


def inside(data: bytes, start: int, end: int) -> Iterator[Number]:
    """The numbers of what lies in one sub-element."""
    head = data[start : start + 4]
    if head == GBL or head in EBL:
        size, order, step = (4, "little", 8) if head == GBL else (2, "big", 4)
        while start + step <= end:
            tag, length = (Number(at, size, order) for at in (start, start + size))  # type: ignore[arg-type]
            yield from (tag, length)
            start += step + length.read(data)
    else:  # Telink keeps its size and marks here, NXP its vectors
        yield from (Number(at, 4) for at in range(start, min(start + 40, end - 3), 4))
        yield Number(end - 4, 4)


def mutate(data: bytes, found: Layout, dice: random.Random) -> bytes:
    """One to four injuries; some files get sums and sizes that fit again, so that what lies deeper is reached."""
    wounded = bytearray(data)
    for _ in range(dice.randint(1, 4)):
        dice.choice((injure, injure, lie, lie, lie, rearrange))(wounded, found, dice)
    if dice.random() < 0.3 and len(wounded) >= found.header + 56:
        Number(found.header + 52, 4).write(wounded, len(wounded) - found.header)
    if dice.random() < 0.3 and found.elements:
        start, end = found.elements[-1]
        sum_ = zlib.crc32(wounded[start + 6 : end - 4])
        Number(end - 4, 4).write(wounded, sum_ ^ dice.choice((0, 0xFFFF_FFFF)))
    return bytes(wounded)


def injure(wounded: bytearray, _: Layout, dice: random.Random) -> None:
    """Blind: a byte, a word at an interesting value, a cut, an insertion, a run moved elsewhere; most of them in a header."""
    reach = dice.choice((80, 80, 240, len(wounded)))
    place = dice.randrange(min(len(wounded), reach)) if wounded and reach else 0
    match dice.randrange(5):
        case 0:
            wounded[place : place + 1] = bytes([dice.randrange(256)])
        case 1:
            size = dice.choice((2, 4))
            wounded[place : place + size] = (dice.choice(WORDS) % (1 << 8 * size)).to_bytes(size, "little")
        case 2:
            del wounded[place:]
        case 3:
            wounded[place:place] = dice.randbytes(dice.randint(1, 9))
        case _:
            wounded[place : place + 8] = wounded[-8:]


def lie(wounded: bytearray, found: Layout, dice: random.Random) -> None:
    """A length, tag or count that says something else: a little off, all that is left or one more, what another one says, an extreme."""
    number = dice.choice(found.numbers)
    value, left = number.read(wounded), len(wounded) - number.at - number.size
    near = value + dice.choice((-8, -6, -4, -2, -1, 1, 2, 4, 6, 8))
    number.write(
        wounded, dice.choice((near, near, left, left + 1, left - 1, len(wounded), dice.choice(found.numbers).read(wounded), dice.choice(WORDS)))
    )


def rearrange(wounded: bytearray, found: Layout, dice: random.Random) -> None:
    """Sub-elements that are missing, twice, in another order, one within another, cut at their borders; the whole file within itself."""
    if not found.elements:
        return
    start, end = dice.choice(found.elements)
    other = dice.choice(found.elements)[0]
    match dice.randrange(6):
        case 0:
            del wounded[start:end]
        case 1:
            wounded[other:other] = wounded[start:end]
        case 2:
            moved = wounded[start:end]
            del wounded[start:end]
            wounded[other:other] = moved
        case 3:
            wounded[start + 6 : start + 6] = wounded[start:end]
        case 4:
            wounded[start + 6 : end] = wounded[: max(end - start - 6, 0)]
        case _:
            del wounded[max(dice.choice((start, start + 6, end)) + dice.choice((-1, 0, 1)), 0) :]
