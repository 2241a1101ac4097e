"""Indexes: one document that lists every image of a maker or a community, fetched only if it has changed.

Each kind of index is a reader of its entries. One that cannot be used is skipped and named, the rest serve: an index is many people's work, and one
wrong line must not hide the others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urljoin, urlsplit

from otagate.model.errors import SourceRefused, SourceUnintelligible
from otagate.model.releases import Digest, Release
from otagate.sources.effects import Conversation, Expect, Request, Response, Service, Stored, download, send
from otagate.sources.entries import BadEntry, digest, is_http_address, maybe_text, maybe_whole, read_each, text, whole
from otagate.sources.source import Findings, Offer, Question, ZigbeeQuestion

_VERSION = 0xFFFF_FFFE
_LARGEST = 1 << 31
_MOST_NAMES = 64
_MOST_ENTRIES = 50_000
_CHECKSUM = re.compile(r"(sha256|sha512|sha3-256|md5):([0-9a-fA-F]{32,128})")
_DIGITS = {"md5": 32, "sha256": 64, "sha3_256": 64, "sha512": 128}
_IKEA_VERSION = re.compile(r"_v(\d{1,10})_")
_IKEA_CODE = 0x117C
_IKEA_BRICKS = frozenset({8704, 8710})
"""Image types of remote controls that the maker's own file turned into bricks."""

Entry = Mapping[str, Any]
Read = Callable[[Entry], Release | None]
"""A release out of an entry; None for one that is not for devices; raises BadEntry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of index. `list_key` is where its entries are, None where the document is the list. `pointer`: the document names the index's URL.

    `plain`: the size that entries name is that of the file as served, not of the image in it.
    """

    read: Read
    list_key: str | None = None
    default_url: str | None = None
    manufacturer_codes: frozenset[int] = frozenset()
    pointer: tuple[str, ...] = ()
    plain: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """An index at `url`, which may be a page of a code host that calls its JSON text."""

    kind: Kind
    url: str
    name: str
    service: Service = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "service", Service(name=f"{self.name} {urlsplit(self.url).hostname or ''}".strip()))

    @property
    def whole(self) -> bool:
        """Whether one answer holds everything, whatever was asked."""
        return True

    def concerns(self, question: Question) -> bool:
        """Whether the index may list components of this kind."""
        codes = self.kind.manufacturer_codes
        return isinstance(question, ZigbeeQuestion) and (not codes or question.manufacturer_code in codes)

    def consult(self, questions: Sequence[Question]) -> Conversation[Findings]:
        """Everything that is listed, whoever asks: one conditional call, however many devices there are. Raises SourceError."""
        if not questions:
            return Findings()
        url = self.url
        if self.kind.pointer:
            url = _pointed(_document((yield from send(Request(url=url, label="the pointer to the index", conditional=True)))), self.kind.pointer, url)
        response = yield from send(Request(url=url, label="the index", conditional=True))
        entries = _document(response)
        if self.kind.list_key is not None:
            entries = entries.get(self.kind.list_key) if isinstance(entries, dict) else None
        if not isinstance(entries, list):
            raise SourceUnintelligible("the index: the document holds no list of images")
        read, skipped = read_each(entries[:_MOST_ENTRIES], lambda entry: self._release(entry, url), what="entry")
        offers = tuple(Offer(release=release) for release in read if release is not None)
        return Findings(offers=offers, skipped=tuple(skipped))

    def _release(self, entry: Entry, url: str) -> Release | None:
        release = self.kind.read(entry)
        if release is None:
            return None
        try:
            location = urljoin(url, release.location or "")
        except ValueError as error:
            raise BadEntry("the address of the file is none") from error
        local = location.startswith("file:") and url.startswith("file:")  # beside an index that is a file here
        if not local and not is_http_address(location):
            raise BadEntry("the file is at no http address")
        return replace(release, source=self.name, location=location)

    def fetch(self, release: Release) -> Conversation[Stored]:
        """Fetch the file of an entry. Raises SourceError."""
        if release.location is None:
            raise SourceRefused("the index names no file for this release")
        request = Request(url=release.location, label=f"firmware {release.display_version}")
        # Most indexes name the size of the image inside a container, as zigbee2mqtt's does for 57 files; a digest proves the whole.
        size = release.size if self.kind.plain else None
        return (yield from download(request, Expect(size=size, digests=release.digests, vouched=bool(release.digests))))


def _document(response: Response) -> Any:
    if response.status != 200:
        raise SourceRefused(f"{response.label}: the server answers {response.status}")
    return response.json_of_any_type()


def _pointed(document: Any, path: tuple[str, ...], pointer: str) -> str:
    """The URL that the document holds at a path: an https one, or one on the very server that gave the document."""
    for key in path:
        document = document.get(key) if isinstance(document, dict) else None
    here = "{0.scheme}://{0.netloc}/".format(urlsplit(pointer))
    if not isinstance(document, str) or not document.startswith(("https://", here)) or not is_http_address(document):
        raise SourceUnintelligible("the pointer to the index: it names no https address")
    return document


# --- readers ------------------------------------------------------------------------------------------------------------------------------


def _names(entry: Entry, key: str) -> tuple[str, ...]:
    value = entry.get(key)
    listed = [value] if isinstance(value, str) else value
    if listed is None:
        return ()
    if not isinstance(listed, list) or len(listed) > _MOST_NAMES or not all(isinstance(each, str) and each.strip() for each in listed):
        raise BadEntry(f"{key} is no list of names")
    return tuple(each[:200] for each in listed)


def read_zigbee2mqtt(entry: Entry) -> Release:
    """An entry of zigbee2mqtt's index: bounds are of the running version and of the hardware, inclusive; the digest is sha512."""
    return Release(
        source="",
        manufacturer_code=whole(entry, "manufacturerCode", most=0xFFFF),
        image_type=whole(entry, "imageType", most=0xFFFF),
        file_version=whole(entry, "fileVersion", most=_VERSION),
        size=whole(entry, "fileSize", least=1, most=_LARGEST),
        digests=(Digest(algorithm="sha512", value=digest(entry, "sha512", digits=128)),),
        min_file_version=maybe_whole(entry, "minFileVersion", most=_VERSION),
        max_file_version=maybe_whole(entry, "maxFileVersion", most=_VERSION),
        hardware_min=maybe_whole(entry, "hardwareVersionMin", most=0xFFFF),
        hardware_max=maybe_whole(entry, "hardwareVersionMax", most=0xFFFF),
        models=_names(entry, "modelId"),
        manufacturers=_names(entry, "manufacturerName"),
        notes=maybe_text(entry, "releaseNotes", longest=20_000),
        file_name=maybe_text(entry, "fileName", longest=200),
        location=maybe_text(entry, "path", longest=2000) or text(entry, "url", longest=2000),
    )


def read_zigpy(entry: Entry) -> Release:
    """An entry of zigpy's own index (`firmwares`): the checksum names its algorithm."""
    match = _CHECKSUM.fullmatch(text(entry, "checksum", longest=200).strip())
    algorithm = match[1].replace("-", "_") if match else ""
    if match is None or len(match[2]) != _DIGITS[algorithm]:
        raise BadEntry("checksum is no digest that is known")
    return Release(
        source="",
        manufacturer_code=whole(entry, "manufacturer_id", most=0xFFFF),
        image_type=whole(entry, "image_type", most=0xFFFF),
        file_version=whole(entry, "file_version", most=_VERSION),
        size=whole(entry, "file_size", least=1, most=_LARGEST),
        digests=(Digest(algorithm=algorithm, value=match[2].lower()),),  # type: ignore[arg-type]
        min_file_version=maybe_whole(entry, "min_current_file_version", most=_VERSION),
        max_file_version=maybe_whole(entry, "max_current_file_version", most=_VERSION),
        hardware_min=maybe_whole(entry, "min_hardware_version", most=0xFFFF),
        hardware_max=maybe_whole(entry, "max_hardware_version", most=0xFFFF),
        models=_names(entry, "model_names"),
        manufacturers=_names(entry, "manufacturer_names"),
        notes=maybe_text(entry, "release_notes", longest=20_000) or maybe_text(entry, "changelog", longest=20_000),
        location=text(entry, "binary_url", longest=2000),
    )


def read_ikea(entry: Entry) -> Release | None:
    """An entry of IKEA's own list: newer ones with a sha3-256 and the version in the file's name, older ones in a signed container."""
    if "fw_image_type" not in entry:  # the gateway's own software
        return None
    image_type = whole(entry, "fw_image_type", most=0xFFFF)
    if image_type in _IKEA_BRICKS:
        raise BadEntry(f"image type {image_type} is left out: its file turned devices into bricks")
    location = text(entry, "fw_binary_url", longest=2000)
    if "fw_sha3_256" in entry:
        match = _IKEA_VERSION.search(location)
        if match is None or int(match[1]) > _VERSION:
            raise BadEntry("fw_binary_url names no version")
        sha3 = Digest(algorithm="sha3_256", value=digest(entry, "fw_sha3_256", digits=64))
        return Release(
            source="",
            manufacturer_code=_IKEA_CODE,
            image_type=image_type,
            file_version=int(match[1]),
            size=maybe_whole(entry, "fw_filesize", most=_LARGEST) or 0,
            digests=(sha3,),
            location=location,
        )
    if whole(entry, "fw_type", most=255) != 2:
        return None
    version = whole(entry, "fw_file_version_MSB", most=0xFFFF) << 16 | whole(entry, "fw_file_version_LSB", most=0xFFFF)
    if version > _VERSION:
        raise BadEntry("fw_file_version is the wild card, and no version")
    return Release(
        source="",
        manufacturer_code=whole(entry, "fw_manufacturer_id", most=0xFFFF),
        image_type=image_type,
        file_version=version,
        size=whole(entry, "fw_filesize", least=1, most=_LARGEST),
        location=re.sub(r"^http://", "https://", location),
    )


def read_sonoff(entry: Entry) -> Release:
    """An entry of Sonoff's own list; it names no digest."""
    return Release(
        source="",
        manufacturer_code=whole(entry, "fw_manufacturer_id", most=0xFFFF),
        image_type=whole(entry, "fw_image_type", most=0xFFFF),
        file_version=whole(entry, "fw_file_version", most=_VERSION),
        size=whole(entry, "fw_filesize", least=1, most=_LARGEST),
        models=_names(entry, "model_id"),
        location=text(entry, "fw_binary_url", longest=2000),
    )


KINDS: Mapping[str, Kind] = {
    "z2m-index": Kind(read=read_zigbee2mqtt, default_url="https://raw.githubusercontent.com/Koenkk/zigbee-OTA/master/index.json"),
    "zigpy-index": Kind(read=read_zigpy, list_key="firmwares"),
    "zigpy-ota": Kind(
        read=read_zigpy,
        list_key="firmwares",
        default_url="https://raw.githubusercontent.com/zigpy/zigpy-ota/release/version/stable.json",
        pointer=("schemas", "zigpy_v2", "url"),
    ),
    "ikea": Kind(
        read=read_ikea,
        default_url="https://fw.ota.homesmart.ikea.com/DIRIGERA/version_info.json",
        manufacturer_codes=frozenset({_IKEA_CODE}),
    ),
    "sonoff": Kind(
        read=read_sonoff,
        default_url="https://zigbee-ota.sonoff.tech/releases/upgrade.json",
        manufacturer_codes=frozenset({0x1286}),
        plain=True,
    ),
}
"""Every kind of index, by the `type` of its source in the configuration."""
