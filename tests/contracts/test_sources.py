"""The exam that every source sits: against a strict fake of its service, with every fault that a service can have."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import pytest

from otagate.engine.talks import Talks
from otagate.engine.timers import SystemClock
from otagate.model.errors import FileGone, SourceError, SourceMisconfigured
from otagate.net.cache import DiskImageCache
from otagate.net.http import HttpClient, Terms
from otagate.sources.effects import Conversation, Service, Stored
from otagate.sources.index import KINDS
from otagate.sources.iotaap import Account, Iotaap
from otagate.sources.registry import REGISTRY
from otagate.sources.registry import Terms as SourceTerms
from otagate.sources.source import Question, Source, ZigbeeQuestion, ZwaveQuestion
from otagate_rig.image import build_image, make_payload
from otagate_rig.services.index import IndexService
from otagate_rig.services.iotaap import IotaapService
from otagate_rig.services.ledvance import Firmware, LedvanceService
from otagate_rig.services.server import FAULTS, FakeService
from otagate_rig.services.zwave import ZwaveFile, ZwaveService, ZwaveUpdate

OLD, NEW = 0x01000000, 0x01000001
MAKERS = {"ikea": 0x117C, "sonoff": 0x1286}
DEVICE = "5e1b57808711f904f5df4bad"
SECRETS = ("device-token-1", "account-password-2", "service-key-3", "operator@example.org")
MOST_CALLS = 30
"""Requests that one fault may make of one question and one file: no source asks in a loop."""


def image_for(kind: str) -> bytes:
    return build_image(MAKERS.get(kind, 0x1189), 0x0083, NEW, payload=make_payload(3_000, 1))


class Sitter(Protocol):
    """A source as the exam sees it: what it offers as (version, location), and the file of the first of that."""

    @property
    def service(self) -> Service: ...

    def ask(self) -> Conversation[Sequence[tuple[object, object]]]: ...

    def fetch(self) -> Conversation[Stored]: ...


@dataclass
class Asked:
    """A source of the registry, asked about one kind of component."""

    source: Source
    question: Question
    found: list[Any] = field(default_factory=list)

    @property
    def service(self) -> Service:
        return self.source.service

    def ask(self) -> Conversation[Sequence[tuple[object, object]]]:
        found = yield from self.source.consult([self.question])
        releases = [each.release for each in found.offers]
        self.found = self.found or releases
        return [(each.file_version, each.location) for each in releases]

    def fetch(self) -> Conversation[Stored]:
        return self.source.fetch(self.found[0])


@dataclass
class Bound:
    """IoTaaP, which is asked about devices."""

    source: Iotaap

    @property
    def service(self) -> Service:
        return self.source.service

    def ask(self) -> Conversation[Sequence[tuple[object, object]]]:
        found = yield from self.source.listed()
        return [(each.version, each.device_id) for each in found]

    def fetch(self) -> Conversation[Stored]:
        return self.source.fetch_file(DEVICE, "1.0.1")


@dataclass(frozen=True)
class Candidate:
    """Who sits the exam, and the fake of its service. `proves`: a file that is not the promised one is noticed; `tags`: the service knows ETags."""

    name: str
    fake: Callable[[], FakeService]
    sit: Callable[[str], Sitter]
    version: object = NEW
    proves: bool = True
    tags: bool = True
    calls: int = 1


def _indexed(kind: str) -> Candidate:
    def fake() -> FakeService:
        return IndexService(dialect=kind, files={"lamp.ota": image_for(kind)})

    path = "/stable.json" if KINDS[kind].pointer else "/index.json"
    question = ZigbeeQuestion(manufacturer_code=MAKERS.get(kind, 0x1189), image_type=0x0083, file_version=OLD)
    return Candidate(
        kind,
        fake,
        lambda url: Asked(REGISTRY[kind](SourceTerms(name=kind, url=url + path)), question),
        proves=kind != "sonoff",
        calls=2 if KINDS[kind].pointer else 1,
    )


def _ledvance(url: str) -> Sitter:
    source = REGISTRY["ledvance"](SourceTerms(name="ledvance", url=f"{url}/v1/zigbee"))
    return Asked(source, ZigbeeQuestion(manufacturer_code=0x1189, image_type=0x0083, file_version=OLD))


def _zwave_js(url: str) -> Sitter:
    source = REGISTRY["zwave-js"](SourceTerms(name="zwave-js", url=url, api_key=SECRETS[2]))
    return Asked(source, ZwaveQuestion(manufacturer_id=0x027A, product_type=3, product_id=0x82, firmware_version="1.6"))


def _zwave_service() -> FakeService:
    update = ZwaveUpdate(version="1.7", product_id=0x82, files=(ZwaveFile(image=b"z-wave firmware" * 200),))
    return ZwaveService(updates=[update], api_key=SECRETS[2])


def _iotaap(url: str) -> Sitter:
    account = Account(api_url=f"{url}/v1", email=SECRETS[3], password=SECRETS[1])
    return Bound(Iotaap(account=account, ota_url=f"{url}/v1", tokens={DEVICE: SECRETS[0]}))


def _iotaap_service() -> FakeService:
    made = IotaapService(devices={DEVICE: SECRETS[0]}, password=SECRETS[1])
    made.deploy(DEVICE, "1.0.1", image_for("iotaap"))
    return made


CANDIDATES = (
    Candidate("ledvance", lambda: LedvanceService(firmwares=[Firmware(data=image_for("ledvance"))]), _ledvance),
    # The digest of the Z-Wave service is that of the decoded image: the library proves it.
    Candidate("zwave-js", _zwave_service, _zwave_js, version="1.7", proves=False, tags=False),
    Candidate("iotaap", _iotaap_service, _iotaap, version="1.0.1", proves=False, tags=False),
    *(_indexed(kind) for kind in KINDS),
)


class Uncounted:
    async def read(self, service: str) -> str | None:
        return None

    async def write(self, service: str, text: str) -> None:
        json.loads(text)


class FastClock:
    """The time, which a wait moves on without lasting."""

    def __init__(self) -> None:
        self.ahead = timedelta()
        self._real = SystemClock()

    def now(self) -> datetime:
        return self._real.now() + self.ahead

    def monotonic(self) -> float:
        return self._real.monotonic() + self.ahead.total_seconds()

    async def sleep(self, seconds: float) -> None:
        self.ahead += timedelta(seconds=seconds)
        await asyncio.sleep(0)


@dataclass(frozen=True)
class Exam:
    """A source, its service, and who drives them: with patience, or without where nothing good is to be waited for."""

    sitter: Sitter
    service: FakeService
    patient: Talks
    impatient: Talks
    clock: FastClock

    async def ask(self, talks: Talks | None = None) -> Sequence[tuple[object, object]]:
        return await (talks or self.patient).hold(self.sitter.service, self.sitter.ask())

    async def fetch(self, talks: Talks | None = None) -> Stored:
        return await (talks or self.patient).hold(self.sitter.service, self.sitter.fetch())


@pytest.fixture(params=CANDIDATES, ids=lambda candidate: candidate.name)
def candidate(request: pytest.FixtureRequest) -> Candidate:
    found: Candidate = request.param
    return found


@asynccontextmanager
async def sitting(candidate: Candidate, directory: Path) -> AsyncIterator[Exam]:
    service, clock = candidate.fake(), FastClock()

    def client(**terms: Any) -> HttpClient:
        return HttpClient(
            cache=DiskImageCache(directory / "images"),
            quotas=Uncounted(),
            clock=clock,
            answers=directory / "answers",
            allow_private=["127.0.0.1"],
            terms=Terms(**terms),
            sleep=clock.sleep,
        )

    async with service.running() as url, client() as patient, client(whole=0.3, stall=0.3, slowest=1e6, retries=(0.01,)) as impatient:
        yield Exam(sitter=candidate.sit(url), service=service, patient=Talks(patient), impatient=Talks(impatient), clock=clock)


@pytest.mark.asyncio
async def test_what_the_service_has_is_offered_and_fetched_as_promised(candidate: Candidate, tmp_path: Path) -> None:
    async with sitting(candidate, tmp_path) as exam:
        ((version, _),) = await exam.ask()
        assert version == candidate.version
        assert (await exam.fetch()).size >= 3_000


@pytest.mark.asyncio
@pytest.mark.parametrize("fault", FAULTS)
async def test_every_fault_is_told_in_bounded_time_without_a_loop_or_a_secret_and_is_over_when_it_is_over(
    candidate: Candidate, tmp_path: Path, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with sitting(candidate, tmp_path) as exam:
        healthy = await exam.ask()
        exam.service.fault = fault
        before = len(exam.service.asked)
        told: list[SourceError] = []
        try:
            async with asyncio.timeout(30):
                found = await exam.ask(exam.impatient)
            # An entry of other types is left out, the others would serve; and a 304 has nothing in it that could be altered.
            assert (fault, found) in (("types", []), ("altered", healthy))
        except SourceError as error:
            told.append(error)
        try:
            async with asyncio.timeout(30):
                await exam.fetch(exam.impatient)
            assert not candidate.proves
            assert fault in _UNPROVEN
        except SourceError as error:
            told.append(error)
        assert len(exam.service.asked) - before <= MOST_CALLS
        if fault == "html":
            assert "captive portal" in str(told[0])
        for error in told:
            assert "://" not in str(error)
            assert len(str(error)) < 400
            assert error.until is None or error.until <= exam.clock.now() + timedelta(hours=1)
        shown = repr([str(each) for each in told]) + "".join(each.getMessage() for each in caplog.records if each.name != "aiohttp.access")
        assert not any(secret in shown for secret in SECRETS)
        exam.service.fault = None
        exam.clock.ahead += timedelta(hours=2)
        assert await exam.ask() == healthy


_UNPROVEN = frozenset({"altered", "truncated", "types", "garbage"})
"""What can be wrong with a file that nothing but the file itself describes: it is no image then, which the library says."""


@pytest.mark.asyncio
async def test_a_second_look_costs_a_conditional_call_and_no_body(candidate: Candidate, tmp_path: Path) -> None:
    async with sitting(candidate, tmp_path) as exam:
        first = await exam.ask()
        before = len(exam.service.asked)
        assert await exam.ask() == first
        assert len(exam.service.asked) - before == candidate.calls
        assert exam.service.unchanged == (candidate.calls if candidate.tags else 0)


def _hundred(name: str) -> list[Question]:
    """A hundred devices of a hundred kinds."""
    if name == "zwave-js":
        return [ZwaveQuestion(manufacturer_id=0x027A, product_type=3, product_id=0x50 + number, firmware_version="1.6") for number in range(100)]
    return [ZigbeeQuestion(manufacturer_code=MAKERS.get(name, 0x1189), image_type=0x80 + number, file_version=OLD) for number in range(100)]


@pytest.mark.asyncio
async def test_a_hundred_devices_cost_one_call_a_batch_and_a_second_look_no_more(candidate: Candidate, tmp_path: Path) -> None:
    async with sitting(candidate, tmp_path) as exam:
        if not isinstance(exam.sitter, Asked):
            return  # an account tells of all its devices, whoever asks
        source, calls = exam.sitter.source, 2 if candidate.name == "ledvance" else candidate.calls
        for look in (1, 2):
            found = await exam.patient.hold(source.service, source.consult(_hundred(candidate.name)))
            assert [each.release.file_version for each in found.offers] == [candidate.version]
            assert len(exam.service.asked) == look * calls
        assert bool(exam.service.unchanged) is candidate.tags


@pytest.mark.asyncio
async def test_a_token_that_the_service_revoked_or_let_end_is_replaced_by_a_new_one(tmp_path: Path) -> None:
    candidate = next(each for each in CANDIDATES if each.name == "iotaap")
    async with sitting(candidate, tmp_path) as exam:
        service = exam.service
        assert isinstance(service, IotaapService)
        first = await exam.ask()
        service.revoke()
        assert await exam.ask() == first
        service.revoke()
        service.uses = 1  # every token lives for one call
        for _ in range(3):
            assert await exam.ask() == first
        service.password = "another"
        service.revoke()
        with pytest.raises(SourceMisconfigured, match="password_file"):
            await exam.ask()


@pytest.mark.asyncio
async def test_a_key_that_the_service_does_not_take_is_the_operators_to_mend(tmp_path: Path) -> None:
    candidate = next(each for each in CANDIDATES if each.name == "zwave-js")
    async with sitting(candidate, tmp_path) as exam:
        assert isinstance(exam.service, ZwaveService)
        exam.service.api_key = "another"
        with pytest.raises(SourceMisconfigured, match="api_key_file"):
            await exam.ask()


def _withdrawing() -> FakeService:
    return LedvanceService(firmwares=[Firmware(data=image_for("ledvance"))], withdrawn=True)


@pytest.mark.asyncio
async def test_a_file_that_is_served_no_more_by_its_version_comes_as_the_latest_and_another_latest_does_not(tmp_path: Path) -> None:
    async with sitting(Candidate("ledvance", _withdrawing, _ledvance), tmp_path) as exam:
        assert isinstance(exam.service, LedvanceService)
        await exam.ask()
        assert (await exam.fetch()).size == exam.service.firmwares[0].document()["length"]
        exam.service.firmwares.append(Firmware(data=build_image(0x1189, 0x0083, NEW + 1, payload=make_payload(3_000, 2))))
        with pytest.raises(FileGone, match="not what was offered"):
            await exam.fetch()


@pytest.mark.asyncio
@pytest.mark.parametrize("fault", FAULTS)
async def test_every_fault_of_the_latest_is_told_and_no_other_bytes_are_taken(tmp_path: Path, fault: str) -> None:
    async with sitting(Candidate("ledvance", _withdrawing, _ledvance), tmp_path) as exam:
        await exam.ask()
        exam.service.fault, exam.service.faulty = fault, "/latest"
        with pytest.raises(SourceError) as caught:
            async with asyncio.timeout(30):
                await exam.fetch(exam.impatient)
        assert "://" not in str(caught.value)
        assert not list((tmp_path / "images" / "sha256").glob("*/*/*"))


def test_a_source_says_what_concerns_it(candidate: Candidate) -> None:
    sitter = candidate.sit("https://example.org")
    if isinstance(sitter, Asked):
        assert sitter.source.concerns(sitter.question)
        assert sitter.source.name == candidate.name


def test_every_source_of_the_registry_sits_the_exam() -> None:
    assert set(REGISTRY) - {each.name for each in CANDIDATES} == set()
