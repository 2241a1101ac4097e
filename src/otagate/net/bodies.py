"""Bodies, read under a limit that holds while the bytes arrive and after they are decompressed."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Protocol

from otagate.model.errors import SourceUnintelligible, TooLarge

_STEP = 64 << 10


class Decoder(Protocol):
    """Takes what arrives and gives what it says, bounded."""

    def feed(self, chunk: bytes) -> bytes:
        """Decode a piece. Raises TooLarge, SourceUnintelligible."""

    def end(self) -> None:
        """The body ends here. Raises SourceUnintelligible where it may not."""


class _Plain:
    def __init__(self, limit: int) -> None:
        self._left = limit

    def feed(self, chunk: bytes) -> bytes:
        self._left -= len(chunk)
        if self._left < 0:
            raise TooLarge("the answer is larger than allowed")
        return chunk

    def end(self) -> None:
        pass


class _Inflated:
    """gzip or zlib: never more than the limit is inflated, whatever the ratio (a bomb stops at the limit, not in memory)."""

    def __init__(self, limit: int, window: int) -> None:
        self._left = limit
        self._inflate = zlib.decompressobj(window)
        self._begun = False

    def feed(self, chunk: bytes) -> bytes:
        pieces: list[bytes] = []
        while chunk:
            if self._inflate.eof:
                raise SourceUnintelligible("the answer goes on behind the end of its compression")
            self._begun = True
            try:
                piece = self._inflate.decompress(chunk, _STEP)
            except zlib.error as error:
                raise SourceUnintelligible(f"the answer cannot be decompressed: {error!s:.100}") from None
            chunk = self._inflate.unconsumed_tail or self._inflate.unused_data
            self._left -= len(piece)
            if self._left < 0:
                raise TooLarge("the answer is larger than allowed once it is decompressed")
            pieces.append(piece)
        return b"".join(pieces)

    def end(self) -> None:
        if self._begun and not self._inflate.eof:
            raise SourceUnintelligible("the compressed answer ends in the middle")


_DECODERS: dict[str, Callable[[int], Decoder]] = {
    "": _Plain,
    "identity": _Plain,
    "gzip": lambda limit: _Inflated(limit, 16 + zlib.MAX_WBITS),
    "x-gzip": lambda limit: _Inflated(limit, 16 + zlib.MAX_WBITS),
    "deflate": lambda limit: _Inflated(limit, zlib.MAX_WBITS),
}
ACCEPTED = "gzip, deflate"


def decoder(encoding: str, limit: int) -> Decoder:
    """The decoder for a Content-Encoding, which lets at most `limit` bytes through. Raises SourceUnintelligible for one that was not asked for."""
    make = _DECODERS.get(encoding.strip().lower())
    if make is None:
        raise SourceUnintelligible(f"the answer is encoded as {encoding[:40]!r}, which was not asked for")
    return make(limit)
