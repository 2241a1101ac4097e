"""One file on its way, without the network: what has come, whether the rest may follow it, and whether it is what was promised."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from pathlib import PurePosixPath

from yarl import URL

from otagate.model.errors import SourceRefused, SourceUnintelligible
from otagate.net.addresses import checked, is_loopback
from otagate.sources.effects import Expect
from otagate.sources.entries import is_header_value

_PAGE = (b"<!doctype html", b"<html")
_RANGE = re.compile(r"bytes (\d{1,12})-(\d{1,12})/(\d{1,12}|\*)")


@dataclass(slots=True)
class Fetch:
    """The state of one download through all of its tries. A try goes on behind what came only under the same strong ETag."""

    expect: Expect
    label: str
    file_name: str = ""
    _data: bytearray = field(default_factory=bytearray)
    _etag: str | None = None
    _promised: int | None = None

    @property
    def received(self) -> int:
        """Bytes so far."""
        return len(self._data)

    @property
    def complete(self) -> bool:
        """Whether everything that the server announced, or else the source, is here."""
        promised = self._promised if self._promised is not None else self.expect.size
        return promised is None or self.received >= promised

    def check(self, url: URL) -> None:
        """Whether a file may come from there. Raises SourceRefused."""
        if url.scheme == "http" and not self.expect.vouched and not is_loopback(url.host or ""):  # there is no wire in between on this machine
            raise SourceRefused("the file comes over plain http, and nothing else proves its bytes")

    def follow(self, url: URL, location: str | None) -> URL:
        """The next address of a redirect. Raises SourceRefused."""
        try:
            target = url.join(URL(location or ""))
        except ValueError as error:
            raise SourceRefused("the redirect leads to no address") from error
        if not location:
            raise SourceRefused("the redirect leads nowhere")
        if url.scheme == "https" and target.scheme != "https":
            raise SourceRefused("the redirect leads from https to something less")
        return checked(target)

    def resume_headers(self) -> dict[str, str]:
        """What asks for the rest, where some has come and the server named its version."""
        if not self._data or self._etag is None:
            return {}
        return {"range": f"bytes={self.received}-", "if-range": self._etag}

    def forget(self) -> None:
        """Begin anew with the next try."""
        self._data.clear()
        self._etag = self._promised = None

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """An answer begins: a whole file, or the rest of ours. Raises SourceUnintelligible, SourceRefused."""
        if headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
            raise SourceUnintelligible("the file is compressed on its way, which was not asked for")
        if status == 206:
            self._resume(headers)
        else:
            self.forget()
            self._promised = _number(headers.get("content-length"))
            etag = headers.get("etag")
            self._etag = etag if is_header_value(etag) and not etag.startswith("W/") else None
        if self._promised is not None and self._promised > self._most:
            raise SourceRefused(f"the file has {self._promised} bytes, {self._reason}")

    def _resume(self, headers: Mapping[str, str]) -> None:
        match = _RANGE.fullmatch(headers.get("content-range", "").strip())
        if match is None or int(match[1]) != self.received or not self._data:
            raise SourceUnintelligible("the server gives another part of the file than was asked for")
        self._promised = None if match[3] == "*" else int(match[3])

    def feed(self, chunk: bytes) -> None:
        """Take what came. Raises SourceRefused."""
        self._data += chunk
        if self.received > self._most:
            raise SourceRefused(f"the file goes on behind {self._most} bytes, {self._reason}")

    @property
    def _most(self) -> int:
        return self.expect.limit if self.expect.size is None else min(self.expect.size, self.expect.limit)

    @property
    def _reason(self) -> str:
        return "more than is taken" if self.expect.size is None else f"and {self.expect.size} were promised"

    def whole(self) -> bytes:
        """The file, checked. Raises SourceRefused where it is not what was promised, SourceUnintelligible for a page in its place."""
        data = bytes(self._data)
        if data[:200].lstrip().lower().startswith(_PAGE):  # the network wants a login, say: that is nobody's file, whatever the answer calls it
            raise SourceUnintelligible("a web page came in the place of the file")
        self.expect.check(data, self.label)
        return data


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdecimal() and len(text) < 13 else None


def file_name_of(disposition: str | None, final: URL, first: URL) -> str:
    """What a file is called: by Content-Disposition, else by the end of the final URL's path, else of the one asked for; never a path."""
    for name in (_named(disposition), final.name, first.name):
        last = PurePosixPath(name.replace("\\", "/")).name
        shown = "".join(char for char in last if char.isprintable())[:200]
        if "." in shown.strip("."):
            return shown
    return "firmware"


def _named(disposition: str | None) -> str:
    message = Message()
    message["content-disposition"] = (disposition or "")[:1000]
    try:
        return message.get_filename() or ""
    except (ValueError, TypeError):  # a charset that decodes nothing, parts that have no order: the library believes what RFC 2231 allows
        return ""
