"""The exam that every source sits: against a strict fake of its service, with every fault that a service can have."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from otagate.engine.talks import Talks
from otagate.engine.timers import SystemClock
from otagate.model.errors import SourceError
from otagate.model.releases import Release
from otagate.net.cache import DiskImageCache
from otagate.net.http import HttpClient, Terms
from otagate.sources.registry import REGISTRY
from otagate.sources.registry import Terms as SourceTerms
from otagate.sources.source import Question, Source, ZigbeeQuestion
from otagate_rig.image import build_image, make_payload
from otagate_rig.services.index import IndexService
from otagate_rig.services.ledvance import Firmware, LedvanceService
from otagate_rig.services.server import FAULTS, FakeService

IMAGE = build_image(0x1189, 0x0083, 0x01000001, payload=make_payload(3_000, 1))
QUESTION = ZigbeeQuestion(manufacturer_code=0x1189, image_type=0x0083, file_version=0x01000000)


@dataclass(frozen=True)
class Candidate:
    """A source that sits the exam: its type, where its service is, and the fake of it."""

    kind: str
    path: str
    service: Callable[[], FakeService]
    question: Question = QUESTION


CANDIDATES = (
    Candidate("ledvance", "/v1/zigbee", lambda: LedvanceService(firmwares=[Firmware(data=IMAGE)])),
    Candidate("z2m-index", "/index.json", lambda: IndexService(files={"lamp.ota": IMAGE})),
)


class _Quotas:
    async def read(self, service: str) -> str | None:
        return None

    async def write(self, service: str, text: str) -> None:
        json.loads(text)


@dataclass(frozen=True)
class Exam:
    """A source, its service, and who drives them."""

    source: Source
    service: FakeService
    talks: Talks
    question: Question

    async def consult(self) -> list[Release]:
        found = await self.talks.hold(self.source.service, self.source.consult([self.question]))
        return [each.release for each in found.offers]


@pytest.fixture(params=CANDIDATES, ids=lambda candidate: candidate.kind)
def candidate(request: pytest.FixtureRequest) -> Candidate:
    found: Candidate = request.param
    return found


@asynccontextmanager
async def sitting(candidate: Candidate, directory: Path) -> AsyncIterator[Exam]:
    service = candidate.service()
    client = HttpClient(
        cache=DiskImageCache(directory / "images"),
        quotas=_Quotas(),
        clock=SystemClock(),
        answers=directory / "answers",
        allow_private=["127.0.0.1"],
        terms=Terms(whole=1.0, stall=1.0, retries=(0.01,)),
    )
    async with service.running() as url, client:
        source = REGISTRY[candidate.kind](SourceTerms(name=candidate.kind, url=url + candidate.path))
        yield Exam(source=source, service=service, talks=Talks(client), question=candidate.question)


@pytest.mark.asyncio
async def test_what_the_service_has_is_offered_and_fetched_as_promised(candidate: Candidate, tmp_path: Path) -> None:
    async with sitting(candidate, tmp_path) as exam:
        (release,) = await exam.consult()
        assert release.source == candidate.kind
        assert release.file_version == 0x01000001
        stored = await exam.talks.hold(exam.source.service, exam.source.fetch(release))
        assert stored.size == len(IMAGE)


@pytest.mark.asyncio
@pytest.mark.parametrize("fault", FAULTS)
async def test_every_fault_is_a_source_error_in_bounded_time(candidate: Candidate, tmp_path: Path, fault: str) -> None:
    async with sitting(candidate, tmp_path) as exam:
        (release,) = await exam.consult()
        exam.service.fault = fault
        for attempt in (exam.consult(), exam.talks.hold(exam.source.service, exam.source.fetch(release))):
            with pytest.raises(SourceError) as caught:
                async with asyncio.timeout(30):
                    await attempt
            assert "://" not in str(caught.value)
            assert len(str(caught.value)) < 400


@pytest.mark.asyncio
async def test_a_second_look_costs_a_conditional_call_and_no_body(candidate: Candidate, tmp_path: Path) -> None:
    async with sitting(candidate, tmp_path) as exam:
        first = await exam.consult()
        assert await exam.consult() == first
        assert len(exam.service.asked) == 2


def test_a_source_says_what_concerns_it(candidate: Candidate) -> None:
    source = REGISTRY[candidate.kind](SourceTerms(name=candidate.kind, url="https://example.org"))
    assert source.concerns(candidate.question)
    assert source.name == candidate.kind
