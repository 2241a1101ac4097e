"""LEDVANCE Zigbee OTA: `/difference` for what runs an older version, the public index where that answer cannot be read.

A file version is the service's four numbers, most significant first: 0x03483712 is 3.72.55.18. Company is the manufacturer code, product the image
type. The service documents no shape for the answer of `/difference`, so whatever carries an identity in it is taken for an entry.
Its download of "the latest" names no version, so it is asked only where the one by version has no such file any more, and what comes must have the
length and the sha256 of the very entry that was offered: another file never takes its place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from otagate.model.errors import BadFilter, FileGone, SourceRefused, SourceUnintelligible
from otagate.model.releases import Digest, Release
from otagate.model.versions import MAX_FILE_VERSION
from otagate.sources.effects import Conversation, Expect, Limit, Request, Response, Service, Stored, download, send
from otagate.sources.entries import BadEntry, digest, mapping, maybe_text, moment, read_each, text, whole
from otagate.sources.records import Record, RecordPage, RecordQuery
from otagate.sources.source import Findings, Offer, Question, Skipped, ZigbeeQuestion

URL = "https://api.update.ledvance.com/v1/zigbee"
MANUFACTURER_CODES = frozenset({0x1189, 0x110C})
BATCH = 50
_DEPTH = 4
_MONTH, _MINUTE = timedelta(days=30), timedelta(seconds=60)
_BETWEEN_CHECKS = timedelta(minutes=10)
_LIMITS = (
    Limit(amount=8, per=_MINUTE, bucket="difference"),
    Limit(amount=90_000_000, per=_MONTH, of="bytes", bucket="difference"),
    Limit(amount=24, per=_MINUTE),
    Limit(amount=90_000, per=_MONTH),
    Limit(amount=900_000_000, per=_MONTH, of="bytes"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """One product that the service knows, with the firmwares that it lists for it."""

    display_name: str
    releases: tuple[Release, ...]
    latest: Release | None


def version_numbers(file_version: int) -> tuple[int, int, int, int]:
    """Major, minor, build and revision of a 32-bit file version."""
    first, second, third, fourth = file_version.to_bytes(4, "big")
    return (first, second, third, fourth)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledvance:
    """The service at `url`; no credentials."""

    name: str = "ledvance"
    url: str = URL
    service: Service = field(
        default_factory=lambda: Service(
            name="ledvance", limits=_LIMITS, pauses=((403, timedelta(hours=1)), (429, None), (503, None)), between_checks=_BETWEEN_CHECKS
        )
    )

    @property
    def whole(self) -> bool:
        """Whether one answer holds everything, whatever was asked."""
        return False

    def concerns(self, question: Question) -> bool:
        """Whether the manufacturer code is one of theirs."""
        return isinstance(question, ZigbeeQuestion) and question.manufacturer_code in MANUFACTURER_CODES

    # --- consulting -----------------------------------------------------------------------------------------------------------------------

    def consult(self, questions: Sequence[Question]) -> Conversation[Findings]:
        """Ask for the difference, 50 versions a call; kinds of unknown version are asked for by `newer`. Raises SourceError."""
        kinds = {each for each in questions if isinstance(each, ZigbeeQuestion) and self.concerns(each)}
        mine = sorted(kinds, key=_order)
        known = _distinct([each for each in mine if each.file_version])
        findings = Findings()
        for start in range(0, len(known), BATCH):
            findings = _joined(findings, (yield from self._difference(known[start : start + BATCH])))
        for company, product in sorted({(each.manufacturer_code, each.image_type) for each in mine if not each.file_version}):
            findings = _joined(findings, (yield from self.newer(company, product, "0.0.0")))
        return findings

    def _difference(self, batch: Sequence[ZigbeeQuestion]) -> Conversation[Findings]:
        body = [
            {"company": str(each.manufacturer_code), "product": str(each.image_type), "version": _texts(each.file_version or 0)} for each in batch
        ]
        request = Request.with_json(body, url=f"{self.url}/difference", label="the difference", bucket="difference", conditional=True)
        response = yield from send(request)
        if response.status == 204:  # everything is up to date; there is no body
            return Findings()
        _expect_ok(response)
        try:
            entries = list(_entries(response.json()))
            if not entries:
                raise SourceUnintelligible("the difference: the answer names no firmware, and does not say that there is none")
        except SourceUnintelligible:
            return (yield from self.index())
        return (yield from self._completed(entries, {(each.manufacturer_code, each.image_type) for each in batch}))

    def _completed(self, entries: Sequence[Mapping[str, Any]], asked: Set[tuple[int, int]]) -> Conversation[Findings]:
        """Read entries; what lacks its digest or length is looked up by `newer`, once a product that was `asked` about."""
        releases, skipped = read_each((each for each in entries if _is_complete(each)), self._release, what="firmware")
        lacking, unknown = read_each((each for each in entries if not _is_complete(each)), _kind_of, what="firmware without a digest")
        findings = _findings(releases, [*skipped, *unknown])
        for company, product in sorted(asked & set(lacking)):
            findings = _joined(findings, (yield from self.newer(company, product, "0.0.0")))
        return findings

    def index(self) -> Conversation[Findings]:
        """Everything that the service has, asked for only if it has changed. Raises SourceError."""
        response = yield from send(Request(url=f"{self.url}/firmwares", label="the index", conditional=True))
        return self._listed(response)

    def newer(self, company: int, product: int, version: str) -> Conversation[Findings]:
        """What is newer than a version, written with dots, for one product. Raises SourceError."""
        query = (("company", str(company)), ("product", str(product)), ("version", version))
        response = yield from send(Request(url=f"{self.url}/firmwares/newer", label="newer firmware", query=query, conditional=True))
        return Findings() if response.status == 204 else self._listed(response)

    def products(self) -> Conversation[tuple[tuple[int, int], ...]]:
        """Company and product of everything that the service knows. Raises SourceError."""
        response = yield from send(Request(url=f"{self.url}/products", label="the products", conditional=True))
        pairs, _ = read_each(_list(response, "products"), _product_id, what="product")
        return tuple(pairs)

    def product_details(self) -> Conversation[tuple[Product, ...]]:
        """Every product with its firmwares; a product without any is listed all the same. Raises SourceError."""
        response = yield from send(Request(url=f"{self.url}/products/details", label="the products", conditional=True))
        products, _ = read_each(_list(response, "products"), self._product, what="product")
        return tuple(products)

    def records(self, query: RecordQuery) -> Conversation[RecordPage]:
        """A part of the products, or with the filter `list=details` of what the service tells of each; it sends either whole.

        Raises BadFilter, SourceError.
        """
        which = query.filters.get("list", "products")
        if set(query.filters) - {"list"} or which not in ("products", "details"):
            raise BadFilter("the service can be asked for a list only: products, or details")
        rows: list[Record]
        if which == "details":
            rows = [_told(each) for each in (yield from self.product_details())]
        else:
            rows = [Record(device=None, details=_kind(*each)) for each in (yield from self.products())]
        after = query.offset + query.limit
        return RecordPage(items=tuple(rows[query.offset : after]), after=after if after < len(rows) else None)

    def _listed(self, response: Response) -> Findings:
        releases, skipped = read_each(_list(response, "firmwares"), self._release, what="firmware")
        return _findings(releases, skipped)

    # --- files ----------------------------------------------------------------------------------------------------------------------------

    def fetch(self, release: Release) -> Conversation[Stored]:
        """Fetch a firmware by its four numbers (with three the service has none), else as the latest of its product. Raises FileGone, SourceError."""
        numbers = ".".join(str(each) for each in version_numbers(int(release.file_version or 0)))
        query = (("company", str(release.manufacturer_code)), ("product", str(release.image_type)), ("version", numbers))
        request = Request(url=f"{self.url}/firmwares/download", label=f"firmware {numbers}", query=query)
        expect = Expect(size=release.size, digests=release.digests, vouched=bool(release.digests))
        try:
            return (yield from download(request, expect))
        except FileGone as gone:
            return (yield from self._fetch_latest(release, expect, gone))

    def _fetch_latest(self, release: Release, expect: Expect, gone: FileGone) -> Conversation[Stored]:
        """The latest firmware of the product, where that is the offered one, byte for byte. Raises FileGone where it is another, SourceError."""
        if not expect.vouched:
            raise gone
        url = f"{self.url}/firmwares/download/{release.manufacturer_code}/{release.image_type}/latest"
        try:
            return (yield from download(Request(url=url, label="the latest firmware"), expect))
        except SourceRefused as error:
            raise FileGone(f"{gone}, and the latest of its product is not what was offered: {error}") from error

    # --- entries --------------------------------------------------------------------------------------------------------------------------

    def _release(self, entry: Mapping[str, Any]) -> Release:
        identity = mapping(entry.get("identity"), "identity")
        version = mapping(identity.get("version"), "identity.version")
        file_version = int.from_bytes(bytes(whole(version, part, most=255) for part in ("major", "minor", "build", "revision")), "big")
        if file_version > MAX_FILE_VERSION:
            raise BadEntry("identity.version is the wild card, and no version")
        sha256 = digest(entry, _digest_key(entry) or "shA256", digits=64)
        full_name = maybe_text(entry, "fullName")
        _cross_check(full_name, file_version)
        return Release(
            source=self.name,
            manufacturer_code=whole(identity, "company", most=0xFFFF),
            image_type=whole(identity, "product", most=0xFFFF),
            file_version=file_version,
            size=whole(entry, "length", least=1, most=1 << 31),
            digests=(Digest(algorithm="sha256", value=sha256),),
            notes=maybe_text(entry, "releaseNotes", longest=20_000),
            location=".".join(str(each) for each in version_numbers(file_version)),
            file_name=maybe_text(entry, "name") or (full_name or "").rpartition("/")[2] or None,
            released=moment(entry.get("released")),
        )

    def _product(self, entry: Mapping[str, Any]) -> Product:
        listed = entry.get("firmwares")
        releases, _ = read_each(listed if isinstance(listed, list) else (), self._release, what="firmware")
        latest = entry.get("latest")
        return Product(
            display_name=text(entry, "displayName"),
            releases=tuple(releases),
            latest=self._release(latest) if isinstance(latest, dict) else None,
        )


def _order(question: ZigbeeQuestion) -> tuple[int, int, int]:
    return (question.manufacturer_code, question.image_type, question.file_version or 0)


def _distinct(questions: Sequence[ZigbeeQuestion]) -> list[ZigbeeQuestion]:
    """Each company, product and version once, in their order: equal bodies are what an ETag is kept for."""
    return list({(each.manufacturer_code, each.image_type, each.file_version): each for each in questions}.values())


def _texts(file_version: int) -> dict[str, str]:
    return dict(zip(("major", "minor", "build", "revision"), map(str, version_numbers(file_version)), strict=True))


def _product_id(entry: Mapping[str, Any]) -> tuple[int, int]:
    return _company_and_product(mapping(entry.get("id"), "id"))


def _kind_of(entry: Mapping[str, Any]) -> tuple[int, int]:
    return _company_and_product(mapping(entry.get("identity"), "identity"))


def _company_and_product(names: Mapping[str, Any]) -> tuple[int, int]:
    return whole(names, "company", most=0xFFFF), whole(names, "product", most=0xFFFF)


def _is_complete(entry: Mapping[str, Any]) -> bool:
    return _digest_key(entry) is not None and "length" in entry


def _kind(company: int, product: int) -> Mapping[str, int]:
    return {"company": company, "product": product}


def _told(product: Product) -> Record:
    """The service names company and product only in its firmwares; without any, there is nothing but the name."""
    known = product.latest or next(iter(product.releases), None)
    kind = {} if known is None else _kind(known.manufacturer_code or 0, known.image_type or 0)
    details = {**kind, "firmwares": len(product.releases)}
    latest = product.latest
    if latest is None:
        return Record(device=None, name=product.display_name, details=details)
    return Record(device=None, name=product.display_name, version=latest.display_version, at=latest.released, details=details)


def _expect_ok(response: Response) -> None:
    if response.status != 200:
        raise SourceRefused(f"{response.label}: the service answers {response.status}")


def _list(response: Response, key: str) -> list[Any]:
    _expect_ok(response)
    document = response.json()
    listed = document.get(key) if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise SourceUnintelligible(f"{response.label}: the answer has no list of {key}")
    return listed


def _entries(document: Any, depth: int = _DEPTH) -> Iterator[Mapping[str, Any]]:
    """Whatever has an identity with a version, at any depth up to four."""
    if isinstance(document, dict):
        identity = document.get("identity")
        if isinstance(identity, dict) and isinstance(identity.get("version"), dict):
            yield document
            return
        document = list(document.values())
    if isinstance(document, list) and depth:
        for each in document:
            yield from _entries(each, depth - 1)


def _digest_key(entry: Mapping[str, Any]) -> str | None:
    """What the digest is called: `shA256` by the service, `sha_256` by its documents, so capitals and the line tell nothing."""
    return next((key for key in entry if key.lower() in ("sha256", "sha_256")), None)


def _cross_check(full_name: str | None, file_version: int) -> None:
    """`fullName` is product, file version in hex and file name; where it contradicts the identity, nobody knows which is meant."""
    parts = (full_name or "").split("/")
    if len(parts) == 3 and len(parts[1]) == 8:
        try:
            named = int(parts[1], 16)
        except ValueError:
            return
        if named != file_version:
            raise BadEntry(f"identity says version 0x{file_version:08x}, fullName 0x{named:08x}")


def _findings(releases: Sequence[Release], skipped: Sequence[Skipped]) -> Findings:
    return Findings(offers=tuple(Offer(release=each) for each in releases), skipped=tuple(skipped))


def _joined(one: Findings, other: Findings) -> Findings:
    offers = tuple(dict.fromkeys((*one.offers, *other.offers)))
    return Findings(offers=offers, skipped=tuple(dict.fromkeys((*one.skipped, *other.skipped))))
