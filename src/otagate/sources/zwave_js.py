"""The Z-Wave JS firmware update service, in its four versions: one batch where the service has v4, one question at a time where it has not.

An update that is offered depends on what the node runs: conditions are the service's to judge, so an offer belongs to its question, and a chain is
asked for again after every step. The integrity of a file covers the decoded image, not the file as served. A version is that of target 0; what
other targets of the same update become nobody says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from otagate.model.errors import SourceMisconfigured, SourceRefused, SourceUnintelligible
from otagate.model.ids import Sha256
from otagate.model.releases import Fingerprint, Release
from otagate.sources.effects import Conversation, Expect, Limit, Request, Response, Service, Stored, download, send
from otagate.sources.entries import BadEntry, flag, is_http_address, mapping, maybe_text, read_each, text, whole
from otagate.sources.source import Findings, Offer, Question, Skipped, ZwaveQuestion

URL = "https://firmware.zwave-js.io"
BATCH = 100

Api = Literal["auto", "v1", "v2", "v3", "v4"]
_MOST_FILES = 16
_VERSION = re.compile(r"([0-9]{1,3})\.([0-9]{1,3})(?:\.([0-9]{1,3}))?")
_INTEGRITY = re.compile(r"sha256:([0-9a-fA-F]{64})")
_ID = re.compile(r"0x[0-9a-fA-F]{4}")
_ASK = "ask"
_LIMITS = (Limit(amount=2, per=timedelta(seconds=60), bucket=_ASK),)  # of the service; the files lie with their makers


def padded(version: str) -> str:
    """`1.6` as `1.6.0`, without leading zeros, as the service compares versions. Raises ValueError for what is none."""
    match = _VERSION.fullmatch(version.strip())
    if match is None or any(int(part or 0) > 255 for part in match.groups()):
        raise ValueError(f"{version!r:.40} is not a firmware version of two or three numbers up to 255")
    return ".".join(str(int(part or 0)) for part in match.groups())


def _is_version(version: str) -> bool:
    try:
        padded(version)
    except ValueError:
        return False
    return True


@dataclass(slots=True, kw_only=True)
class ZwaveJs:
    """The service at `url`. `api` fixes its version; with `auto` v4 is asked first, and v3 where there is none."""

    name: str = "zwave-js"
    url: str = URL
    api: Api = "auto"
    api_key: str | None = field(default=None, repr=False)
    service: Service = field(default_factory=lambda: Service(name="zwave-js", limits=_LIMITS))
    _found: Literal["v3", "v4"] | None = field(default=None, init=False)

    @property
    def whole(self) -> bool:
        """Whether one answer holds everything, whatever was asked."""
        return False

    def concerns(self, question: Question) -> bool:
        """Every Z-Wave node whose version it can be told."""
        return isinstance(question, ZwaveQuestion) and _is_version(question.firmware_version)

    # --- consulting -----------------------------------------------------------------------------------------------------------------------

    def consult(self, questions: Sequence[Question]) -> Conversation[Findings]:
        """Ask about every kind of node once. Raises SourceError."""
        mine = sorted({each for each in questions if isinstance(each, ZwaveQuestion) and self.concerns(each)}, key=repr)
        batched = self.api == "v4" or (self.api == "auto" and self._found != "v3")
        findings = Findings()
        regions = sorted({each.region or "" for each in mine})
        for region in regions if batched else ():
            alike = [each for each in mine if (each.region or "") == region]
            for start in range(0, len(alike), BATCH):
                answer = yield from self._batch(alike[start : start + BATCH], region)
                if answer is None:
                    return (yield from self._singly(mine, "v3"))
                findings = _joined(findings, answer)
        if batched:
            return findings
        return (yield from self._singly(mine, "v3" if self.api == "auto" else self.api))

    def _batch(self, questions: Sequence[ZwaveQuestion], region: str) -> Conversation[Findings | None]:
        """One call of v4; None where the service has no v4 and `auto` may ask otherwise."""
        body: dict[str, Any] = {"devices": [_device(each, additional=True) for each in questions]}
        if region:
            body["region"] = region
        response = yield from send(self._request("v4", body))
        if response.status == 404 and self.api == "auto" and self._found is None:
            self._found = "v3"
            return None
        answer = self._answer(response)
        self._found = "v4"
        offers: list[Offer] = []
        skipped: list[Skipped] = []
        asked: dict[tuple[str, str, str, str], list[ZwaveQuestion]] = {}
        for each in questions:
            asked.setdefault(_key(_device(each, additional=False)), []).append(each)
        for number, entry in enumerate(answer, 1):
            try:
                entry = mapping(entry, "device")
                about = asked.get(_key(entry), [])
                if not isinstance(entry.get("updates"), list):
                    raise BadEntry("updates is no list")
            except BadEntry as error:
                skipped.append(Skipped(what=f"device {number}", why=str(error)))
                continue
            for question in _of_the_same_targets(about, entry):
                found = self._updates(entry["updates"], question)
                offers += found.offers
                skipped += found.skipped
        return Findings(offers=tuple(offers), skipped=tuple(skipped), fresh_for=response.fresh_for)

    def _singly(self, questions: Sequence[ZwaveQuestion], version: str) -> Conversation[Findings]:
        """One call a kind of node, for versions without a batch. v1 knows stable releases only; v1 and v2 know no region."""
        findings = Findings()
        for question in questions:
            body = _device(question, additional=False)
            if question.region and version == "v3":
                body["region"] = question.region
            response = yield from send(self._request(version, body))
            found = self._updates(self._answer(response), question)
            findings = _joined(findings, Findings(offers=found.offers, skipped=found.skipped, fresh_for=response.fresh_for))
        return findings

    def _request(self, version: str, body: Mapping[str, Any]) -> Request:
        headers = {} if self.api_key is None else {"x-api-key": self.api_key}
        return Request.with_json(body, url=f"{self.url}/api/{version}/updates", label="the updates", headers=headers, conditional=True, bucket=_ASK)

    def _answer(self, response: Response) -> list[Any]:
        if response.status == 401:
            raise SourceMisconfigured("the updates: the service does not take the API key: check api_key_file, or leave it out")
        if response.status == 400:
            raise SourceRefused(f"the updates: the service does not take the question: {_complaint(response)}")
        if response.status != 200:
            raise SourceRefused(f"the updates: the service answers {response.status}")
        answer = response.json()
        if not isinstance(answer, list):
            raise SourceUnintelligible("the updates: the answer is no list")
        return answer

    # --- files ----------------------------------------------------------------------------------------------------------------------------

    def fetch(self, release: Release) -> Conversation[Stored]:
        """Fetch the file of one target; what it holds once decoded is vouched for by the release's sha256. Raises SourceError."""
        if release.location is None:
            raise SourceRefused("the service named no file for this release")
        request = Request(url=release.location, label=f"firmware {release.display_version} for target {release.target}")
        return (yield from download(request, Expect(vouched=release.sha256 is not None)))

    # --- entries --------------------------------------------------------------------------------------------------------------------------

    def _updates(self, updates: Sequence[Any], question: ZwaveQuestion) -> Findings:
        read, skipped = read_each(updates, lambda entry: self._releases(entry, question), what="update")
        distinct: dict[str, list[Release]] = {}
        for releases in read:  # a version that is listed twice: the first is the regional one, or the one defined first
            distinct.setdefault(releases[0].bundle or "", releases)
        offers = tuple(Offer(release=release, question=question) for releases in distinct.values() for release in releases)
        return Findings(offers=offers, skipped=tuple(skipped))

    def _releases(self, entry: Mapping[str, Any], question: ZwaveQuestion) -> list[Release]:
        """One update: a release for each of its files, in the order in which they are to be installed."""
        version = text(entry, "version", longest=20).strip()
        try:
            padded(version)
        except ValueError as error:
            raise BadEntry(str(error)) from error
        channel = entry.get("channel", "stable")
        if channel not in ("stable", "beta"):
            raise BadEntry("channel is neither stable nor beta")
        region = maybe_text(entry, "region", longest=40)
        if "downgrade" in entry:
            flag(entry, "downgrade")
        files = entry.get("files")
        if not isinstance(files, list) or not 1 <= len(files) <= _MOST_FILES:
            raise BadEntry(f"files is no list of 1 to {_MOST_FILES} files")
        normal = maybe_text(entry, "normalizedVersion", longest=40) or padded(version)
        fingerprint = Fingerprint(
            manufacturer_id=question.manufacturer_id,
            product_type=question.product_type,
            product_id=question.product_id,
            min_version=question.firmware_version,
            max_version=question.firmware_version,
        )
        identity = ":".join(_key(_device(question, additional=False)))
        releases: list[Release] = []
        for step, file in enumerate(files, 1):
            target, url, sha256 = _file(mapping(file, "file"))
            releases.append(
                Release(
                    source=self.name,
                    protocol="zwave",
                    file_version=version if target == 0 else None,
                    size=0,
                    fingerprints=(fingerprint,),
                    target=target,
                    region=region,
                    bundle=f"{self.name}:{identity}:{normal}:{region or ''}",
                    step=step,
                    sha256=sha256,
                    channel=channel,
                    notes=maybe_text(entry, "changelog", longest=20_000),
                    location=url,
                )
            )
        if len({release.target for release in releases}) != len(releases):
            raise BadEntry("two files are for the same target")
        return releases


def _file(file: Mapping[str, Any]) -> tuple[int, str, Sha256]:
    integrity = _INTEGRITY.fullmatch(text(file, "integrity", longest=100).strip())
    if integrity is None:
        raise BadEntry("integrity is no sha256")
    url = text(file, "url", longest=2000)
    if not is_http_address(url):
        raise BadEntry("url is no http address")
    return whole(file, "target", most=255), url, Sha256(integrity[1].lower())


def _device(question: ZwaveQuestion, *, additional: bool) -> dict[str, Any]:
    """A question as the service wants it: small letters, and a version without leading zeros."""
    numbers = {"manufacturerId": question.manufacturer_id, "productType": question.product_type, "productId": question.product_id}
    device: dict[str, Any] = {key: f"0x{value:04x}" for key, value in numbers.items()}
    device["firmwareVersion"] = _unpadded(question.firmware_version)
    others = _additional(question) if additional else {}
    if others:
        device["additionalFirmwareVersions"] = {str(target): _unpadded(version) for target, version in others.items()}
    return device


def _additional(question: ZwaveQuestion) -> dict[int, str]:
    """The versions of the other targets, as far as the node tells versions: the service refuses a whole batch for one that is none."""
    return {target: version for target, version in question.additional if target > 0 and _is_version(version)}


def _unpadded(version: str) -> str:
    return ".".join(str(int(part)) for part in version.split("."))


def _key(device: Mapping[str, Any]) -> tuple[str, str, str, str]:
    """What an answer is matched by: the service gives versions back padded, and ids in small letters. Raises BadEntry."""
    ids = [text(device, key, longest=10).lower() for key in ("manufacturerId", "productType", "productId")]
    if not all(_ID.fullmatch(each) for each in ids):
        raise BadEntry("an id is not 0x and four hex digits")
    try:
        return (ids[0], ids[1], ids[2], padded(text(device, "firmwareVersion", longest=20)))
    except ValueError as error:
        raise BadEntry(str(error)) from error


def _of_the_same_targets(questions: Sequence[ZwaveQuestion], entry: Mapping[str, Any]) -> list[ZwaveQuestion]:
    """Those that told the same versions of their other targets; where the answer does not say, all."""
    told = entry.get("additionalFirmwareVersions")
    if not isinstance(told, dict):
        return [each for each in questions if not _additional(each)] or list(questions)
    try:
        theirs = {int(target): padded(version) for target, version in told.items()}
    except (ValueError, AttributeError):
        return list(questions)
    return [each for each in questions if {target: padded(version) for target, version in _additional(each).items()} == theirs] or list(questions)


def _complaint(response: Response) -> str:
    """The first thing that the service found wrong, by its field."""
    try:
        document = response.json()
    except SourceUnintelligible:
        return "no reason"
    return "; ".join(_complaints(document, "")[:3])[:300] or "no reason"


def _complaints(node: Any, path: str, depth: int = 6) -> list[str]:
    if not isinstance(node, dict) or not depth:
        return []
    if isinstance(node.get("error"), str):
        return [node["error"][:120]]
    own = node.get("_errors")
    found = [f"{path}: {each:.120}" for each in own if isinstance(each, str)] if isinstance(own, list) else []
    for key, value in node.items():
        found += _complaints(value, f"{path}.{key:.40}".strip("."), depth - 1)
    return found


def _joined(one: Findings, other: Findings) -> Findings:
    lengths = [each.fresh_for for each in (one, other) if each.fresh_for is not None]
    return Findings(offers=one.offers + other.offers, skipped=one.skipped + other.skipped, fresh_for=min(lengths, default=None))
