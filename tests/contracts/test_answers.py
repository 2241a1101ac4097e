"""Whatever a service answers, only SourceError escapes, and what is taken from an answer can be kept, shown, and sent on.

The answers are those that the strict fake of the service gave, with anything in them replaced, cut, repeated or lost.
"""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otagate.engine.talks import Talks
from otagate.model.errors import FileGone, SourceBusy, SourceError, SourceMisconfigured, SourceRefused, SourceUnavailable, SourceUnintelligible
from otagate.model.ids import Sha256
from otagate.model.releases import Release
from otagate.net.addresses import url_of
from otagate.net.cache import DiskImageCache
from otagate.net.http import HttpClient, Terms
from otagate.sources.effects import Conversation, Download, Effect, Expect, Left, Request, Response, Service, Stored, Upload
from otagate.sources.index import KINDS
from otagate.sources.iotaap import Account as IotaapAccount
from otagate.sources.iotaap import Iotaap
from otagate.sources.records import RecordQuery
from otagate.sources.registry import DELEGATES, REGISTRY, Accounts
from otagate.sources.registry import Terms as SourceTerms
from otagate.sources.source import Question, ZigbeeQuestion, ZwaveQuestion
from otagate_rig.services.iotaap import IotaapService
from otagate_rig.services.ledvance import Firmware, LedvanceService
from otagate_rig.services.server import FakeService
from otagate_rig.services.tuya import TuyaService
from otagate_rig.services.tuya_devices import TuyaDevice, TuyaFirmware
from otagate_rig.services.zwave import ZwaveFile, ZwaveService, ZwaveUpdate
from tests.contracts.test_sources import CANDIDATES, DEVICE, MAKERS, NEW, OLD, SECRETS, FastClock, Uncounted, image_for

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
IMAGE = image_for("ledvance")
SECRET_TEXTS = (*SECRETS, "a-secret-of-a-project")
MOST_ASKED = 40
"""Effects after which a conversation is left: that none goes on for ever is the driver's business."""


@dataclass(frozen=True)
class Spoken:
    """A source: its fake, what makes it at the fake's address, and every conversation that it holds."""

    fake: Callable[[], FakeService]
    make: Callable[[str], Any]
    conversations: Mapping[str, Callable[[Any], Conversation[Any]]]


def _consulting(*questions: Question) -> Callable[[Any], Conversation[Any]]:
    return lambda source: source.consult(questions)


def _records(**filters: str) -> Callable[[Any], Conversation[Any]]:
    return lambda source: source.records(RecordQuery(filters=filters, limit=10))


def _release(**more: Any) -> Release:
    return Release(source="s", file_version=NEW, size=len(IMAGE), manufacturer_code=0x1189, image_type=0x0083, **more)


def _of_zigbee(code: int, version: int | None = OLD) -> ZigbeeQuestion:
    return ZigbeeQuestion(manufacturer_code=code, image_type=0x0083, file_version=version)


NODE = ZwaveQuestion(manufacturer_id=0x027A, product_type=3, product_id=0x82, firmware_version="1.6")
NODES = (
    NODE,
    replace(NODE, region="europe", additional=((1, "2.0"),)),
    replace(NODE, firmware_version="300.1"),
    replace(NODE, additional=((1, "?"),)),
)
LEDVANCE = Spoken(
    lambda: LedvanceService(firmwares=[Firmware(data=IMAGE)]),
    lambda url: REGISTRY["ledvance"](SourceTerms(name="ledvance", url=f"{url}/v1/zigbee")),
    {
        "difference": _consulting(_of_zigbee(0x1189)),
        "newer": _consulting(_of_zigbee(0x1189, None)),
        "index": lambda source: source.index(),
        "products": _records(),
        "details": _records(list="details"),
        "file": lambda source: source.fetch(_release()),
    },
)
ILLUME: Mapping[str, Callable[[Any], Conversation[Any]]] = {
    "look": lambda source: source.look(),
    "look_at": lambda source: source.look_at("vdev1"),
    "start": lambda source: source.start(["vdev1"], "0"),
    "room": lambda source: source.sync_room("r1"),
    **{each: _records(list=each) for each in ("to-be-updated", "updating", "record")},
}
THING: Mapping[str, Callable[[Any], Conversation[Any]]] = {
    "look": lambda source: source.look(),
    "look_at": lambda source: source.look_at("vdev1"),
    "start": lambda source: source.start(["vdev1"], "0"),
    "progress": lambda source: source.progress("vdev1", "0"),
}
PUBLISHED = Sha256("0" * 64)
IOTAAP: Mapping[str, Callable[[Any], Conversation[Any]]] = {
    "look": lambda source: source.look(),
    "look_at": lambda source: source.look_at(DEVICE),
    "records": _records(device=DEVICE),
    "latest": lambda source: source.latest(DEVICE),
    "file": lambda source: source.fetch_file(DEVICE, "1.0.1"),
    "publish": lambda source: source.publish(DEVICE, image=PUBLISHED, version="1.0.2"),
}


def _zwave(api: Any) -> Spoken:
    update = ZwaveUpdate(version="1.7", product_id=0x82, files=(ZwaveFile(image=b"z-wave firmware" * 200),))
    return Spoken(
        lambda: ZwaveService(updates=[update, replace(update, version="1.8", channel="beta", region="europe")]),
        lambda url: REGISTRY["zwave-js"](SourceTerms(name="zwave-js", url=url, api=api)),
        {"updates": _consulting(*NODES), "one": _consulting(NODE)},
    )


def _indexed(kind: str) -> Spoken:
    candidate = next(each for each in CANDIDATES if each.name == kind)
    path = "/stable.json" if KINDS[kind].pointer else "/index.json"
    return Spoken(
        candidate.fake,
        lambda url: REGISTRY[kind](SourceTerms(name=kind, url=url + path)),
        {"index": _consulting(_of_zigbee(MAKERS.get(kind, 0x1189)))},
    )


def _tuya(kind: str, conversations: Mapping[str, Callable[[Any], Conversation[Any]]], **more: Any) -> Spoken:
    def fake() -> FakeService:
        devices = [TuyaDevice(device_id=each, firmwares={0: TuyaFirmware(offered="1.0.1")}) for each in ("vdev1", "vdev2")]
        devices[1].main.steps = 1_000_000
        devices[1].main.begin()
        return TuyaService(devices=devices, **more)

    def make(url: str) -> Any:
        project = TuyaService().project_id
        terms = SourceTerms(
            name=kind, url=url, client_id="client1", client_secret=TuyaService().secret, project_id=project, device_ids=("vdev1", "vdev2")
        )
        return DELEGATES[kind](terms, Accounts(pace=100.0))

    return Spoken(fake, make, conversations)


def _iotaap() -> Spoken:
    def fake() -> FakeService:
        made = IotaapService(devices={DEVICE: SECRETS[0]}, password=SECRETS[1])
        made.deploy(DEVICE, "1.0.1", image_for("iotaap"))
        return made

    def make(url: str) -> Any:
        account = IotaapAccount(api_url=f"{url}/v1", email=SECRETS[3], password=SECRETS[1])
        return Iotaap(account=account, ota_url=f"{url}/v1", tokens={DEVICE: SECRETS[0]})

    return Spoken(fake, make, IOTAAP)


SOURCES: Mapping[str, Spoken] = {
    "ledvance": LEDVANCE,
    **{f"zwave-js {api}": _zwave(api) for api in ("auto", "v1", "v2", "v3", "v4")},
    **{kind: _indexed(kind) for kind in KINDS},
    "tuya-illume": _tuya("tuya-illume", ILLUME),
    **{f"tuya-thing {shape}": _tuya("tuya-thing", THING, shape=shape) for shape in ("list", "one", "envelope")},
    "iotaap": _iotaap(),
}


def test_every_source_that_can_be_configured_is_among_them() -> None:
    assert {name.partition(" ")[0] for name in SOURCES} == {*REGISTRY, *DELEGATES, "iotaap"}


# --- what the fakes answer ----------------------------------------------------------------------------------------------------------------


@dataclass
class _Listener:
    """The real client, and what it was answered, by what was asked for."""

    http: HttpClient
    heard: dict[str, Response] = field(default_factory=dict)

    async def send(self, service: Service, request: Request) -> Response:
        return self._hear(await self.http.send(service, request))

    async def upload(self, service: Service, effect: Upload) -> Response:
        return self._hear(await self.http.upload(service, replace(effect, image=await self._image())))

    async def download(self, service: Service, request: Request, expect: Expect) -> Stored:
        return await self.http.download(service, request, replace(expect, size=None, digests=()))

    async def check(self, service: Service) -> datetime | None:
        return await self.http.check(service)

    def left(self, service: Service) -> list[Left]:
        return self.http.left(service)

    def _hear(self, response: Response) -> Response:
        self.heard.setdefault(response.label, response)
        return response

    async def _image(self) -> Sha256:
        return await self.http._cache.add(IMAGE)


@dataclass(frozen=True)
class Answers:
    """What a fake answered, by what was asked for, as `Request.label` says it, and the URL that it stood at: answers name it."""

    url: str
    heard: Mapping[str, Response]


async def _listen(spoken: Spoken, folder: Path) -> Answers:
    clock = FastClock()
    http = HttpClient(
        cache=DiskImageCache(folder / "images"),
        quotas=Uncounted(),
        clock=clock,
        answers=folder / "answers",
        allow_private=["127.0.0.1"],
        terms=Terms(retries=()),
        sleep=clock.sleep,
    )
    listener = _Listener(http)
    async with spoken.fake().running() as url, http:
        source = spoken.make(url)
        for conversation in spoken.conversations.values():
            await Talks(listener).hold(source.service, conversation(source))
    return Answers(url, listener.heard)


@cache
def answers_of(name: str) -> Answers:
    """Heard once, then known."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_listen(SOURCES[name], Path(folder)))


# --- what becomes of them -----------------------------------------------------------------------------------------------------------------

_DEEP: Any = []
for _ in range(50):
    _DEEP = [{"identity": _DEEP}]

ODD: Sequence[Any] = (
    *(None, True, False, 0, -1, 1, 2, 7, 255, 256, 65_536, 2**31, 2**63, 10**13, 10**400, 0.5, -0.0, 1e300),
    *("", " ", "0", "-1", "true", "9" * 400, "9" * 5_000, "\u0663", "\u0661.\u0662", "\ud800", "a\r\nb: c", "\x00", "x" * 30_000, "1.7", "300.1"),
    *("http://[", "//", "file:///etc/passwd", "ftp://example.org/a", "https://example.org:99999/", "../..", "https://\udcff/", "?", "#"),
    *("https://[", "https://", "https://a b/", "https:///x"),
    *("2026-01-01", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "vdev1", DEVICE),
    *([], {}, [[]], [None], {"": None}, {"updates": 1}, _DEEP),
)
FAILURES = (FileGone, SourceBusy, SourceMisconfigured, SourceRefused, SourceUnavailable, SourceUnintelligible)
HEADERS = (
    {},
    {},
    {"content-type": "text/html"},
    {"content-type": ""},
    {"cache-control": "max-age=" + "9" * 50},
    {"cache-control": "max-age=10", "age": "\u0663"},
    {"etag": "\r\n"},
)


@dataclass(frozen=True)
class Twist:
    """What is done to one answer: `edits` are places and what stands there then; a `body` takes its place; a `failure` is told instead."""

    edits: Sequence[tuple[int, int, str]] = ()
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    failure: type[SourceError] | None = None


TWISTS = st.builds(
    Twist,
    edits=st.lists(
        st.tuples(st.integers(0, 200), st.integers(0, len(ODD) - 1), st.sampled_from(["replace", "replace", "drop", "repeat"])), max_size=3
    ),
    status=st.sampled_from([None, None, None, None, 200, 201, 204, 400, 401, 404, 410]),
    headers=st.sampled_from(HEADERS),
    body=st.none() | st.none() | st.none() | st.binary(max_size=40) | st.sampled_from([b"", b"null", b"[]", b"{}", b"\xed\xa0\x80", b'"\\ud800"']),
    failure=st.sampled_from([None, None, None, None, None, None, *FAILURES]),
)


def _places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in a document, as what holds it and under which key."""
    keys = list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
    for key in keys:
        yield node, key
        yield from _places(node[key])


def _edited(document: Any, edits: Sequence[tuple[int, int, str]]) -> Any:
    whole = [copy.deepcopy(document)]
    for place, odd, how in edits:
        places = list(_places(whole))
        if not places:
            break
        holder, key = places[place % len(places)]
        if how == "replace":
            holder[key] = copy.deepcopy(ODD[odd])
        elif how == "drop":
            del holder[key]
        elif isinstance(holder, list):
            holder.extend(copy.deepcopy(holder[key]) for _ in range(3))
    return whole[0] if whole else None


def _twisted(effect: Effect, twist: Twist, known: Mapping[str, Response]) -> Response | Stored | SourceError:
    if twist.failure is not None:
        return twist.failure("it went wrong")
    if isinstance(effect, Download):
        return Stored(sha256=PUBLISHED, size=len(IMAGE), file_name="file.ota")
    heard = known.get(effect.request.label)
    if heard is None:
        return SourceRefused("nothing of that kind was ever heard")
    body = twist.body
    if body is None:
        body = heard.body if not twist.edits or not heard.body else json.dumps(_edited(json.loads(heard.body), twist.edits)).encode()
    return replace(heard, status=twist.status or heard.status, headers={**heard.headers, **twist.headers}, body=body, at=NOW)


def _sendable(effect: Effect) -> None:
    """What is asked next, with what an earlier answer brought into it, can be sent: no header is broken. Raises SourceRefused for what is no address,
    as the client does.
    """
    request = effect.request
    signed = {} if request.sign is None else dict(request.sign(NOW, "0" * 32))
    for name, value in {**request.headers, **signed}.items():
        assert value.isascii(), name
        assert value.isprintable(), name
    url_of(request.url, request.query)


def held(conversation: Conversation[Any], twists: Sequence[Twist], known: Mapping[str, Response]) -> Any:
    """Its result, the SourceError that it ended with, or None where it has no end."""
    try:
        effect = next(conversation)
        for number in range(MOST_ASKED):
            try:
                _sendable(effect)
                answer = _twisted(effect, twists[number % len(twists)], known)
            except SourceError as error:
                answer = error
            effect = conversation.throw(answer) if isinstance(answer, SourceError) else conversation.send(answer)
    except StopIteration as end:
        return end.value
    except SourceError as error:
        return error
    finally:
        conversation.close()
    return None


def _keepable(value: Any) -> None:
    """It can be written as JSON and into a database, and is of bounded length."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        for each in dataclasses.fields(value):
            _keepable(getattr(value, each.name))
    elif isinstance(value, Mapping):
        _keepable(list(value.items()))
    elif isinstance(value, (list, tuple, set, frozenset)):
        for each in value:
            _keepable(each)
    elif isinstance(value, str):
        value.encode()
        assert len(value) <= 20_000
        assert "\x00" not in value
    elif isinstance(value, datetime):
        assert value.tzinfo is not None
        value.astimezone(UTC)
    elif isinstance(value, timedelta):
        assert timedelta() <= value <= timedelta(days=1)
    elif isinstance(value, int):
        assert abs(value) < 1 << 63
    else:
        assert value is None or isinstance(value, float)


def _check(outcome: Any) -> None:
    if isinstance(outcome, SourceError):
        text = str(outcome)
        assert len(text) <= 400
        assert text.isprintable()
        assert "://" not in text
        assert not any(secret in text for secret in SECRET_TEXTS)
        assert outcome.until is None or outcome.until <= NOW + timedelta(hours=1)
        return
    _keepable(outcome)
    for skipped in getattr(outcome, "skipped", ()):
        assert len(skipped.why) <= 200
        assert skipped.why.isprintable()
    for offer in getattr(outcome, "offers", ()):
        assert offer.release.size >= 0
        parts = urlsplit(offer.release.location or "")
        assert parts.scheme in ("http", "https", "")
        assert parts.port is None or parts.hostname


def _answer_all_kinds(name: str, twists: Sequence[Twist]) -> None:
    spoken, known = SOURCES[name], answers_of(name)
    for conversation in spoken.conversations.values():
        _check(held(conversation(spoken.make(known.url)), twists, known.heard))


@pytest.mark.parametrize("name", SOURCES)
def test_what_the_service_says_in_truth_is_understood(name: str) -> None:
    spoken, known = SOURCES[name], answers_of(name)
    for which, conversation in spoken.conversations.items():
        outcome = held(conversation(spoken.make(known.url)), [Twist()], known.heard)
        assert not isinstance(outcome, SourceError), which
        _check(outcome)


_EXAMPLES = 40
_check_with = settings(
    max_examples=_EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.large_base_example],
)


@pytest.mark.parametrize("name", SOURCES)
@_check_with
@given(st.lists(TWISTS, min_size=1, max_size=4))
def test_whatever_a_service_answers_only_a_source_error_escapes(name: str, twists: Sequence[Twist]) -> None:
    _answer_all_kinds(name, twists)


@pytest.mark.night
@pytest.mark.parametrize("name", SOURCES)
@settings(_check_with, max_examples=50 * _EXAMPLES, derandomize=False)
@given(st.lists(TWISTS, min_size=1, max_size=4))
def test_whatever_a_service_answers_all_night_only_a_source_error_escapes(name: str, twists: Sequence[Twist]) -> None:
    _answer_all_kinds(name, twists)
