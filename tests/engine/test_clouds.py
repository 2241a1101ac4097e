"""Sources whose devices their own cloud updates, as the hub's other parts see them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from otagate.engine.clouds import CloudFeed
from otagate.engine.talks import Talks
from otagate.model.clouds import CloudChannel, CloudDevice
from otagate.model.devices import Component, Device
from otagate.model.errors import SourceBusy, SourceError, SourceMisconfigured, SourceRefused, SourceUnavailable
from otagate.model.ids import ComponentId, DeviceId
from otagate.sources.delegated import Looked
from otagate.sources.effects import Conversation, Service
from otagate.sources.source import Skipped

pytestmark = pytest.mark.asyncio
RELEASED = datetime(2026, 2, 1, tzinfo=UTC)
CHANNEL = CloudChannel(
    channel="0", status="available", raw_status=1, current_version="1.0.0", offered_version="1.0.1", notes="better", released=RELEASED
)
LAMP = CloudDevice(device_id="vdev1", channels=(CHANNEL,))
DEVICE = Device(id=DeviceId("tuya-vdev1"), radio=None, protocol="cloud")
COMPONENT = Component(id=ComponentId("0"), version="1.0.0")


@dataclass
class HandClock:
    time: datetime = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.time.timestamp()


@dataclass
class Source:
    answer: tuple[CloudDevice, ...] | SourceError = (LAMP,)
    skipped: tuple[Skipped, ...] = ()
    name: str = "tuya"
    service: Service = field(default_factory=lambda: Service(name="tuya"))

    def look(self) -> Conversation[Looked]:
        if isinstance(self.answer, SourceError):
            raise self.answer
        return Looked(devices=self.answer, skipped=self.skipped)
        yield


@dataclass
class Bench:
    source: Source
    feed: CloudFeed
    clock: HandClock
    told: list[tuple[str, Sequence[CloudDevice]]]


def bench() -> Bench:
    told: list[tuple[str, Sequence[CloudDevice]]] = []
    source, clock = Source(), HandClock()
    nothing: Any = None
    feed = CloudFeed(
        delegate=source,  # type: ignore[arg-type]
        type="tuya-illume",
        talks=Talks(nothing),
        clock=clock,
        tell=lambda name, devices: told.append((name, devices)),
    )
    return Bench(source, feed, clock, told)


async def test_what_a_cloud_would_bring_is_a_release_for_that_firmware_of_that_device_alone() -> None:
    made = bench()
    assert await made.feed.read()
    assert not await made.feed.read()
    (release,) = made.feed.releases_for(DEVICE, COMPONENT)
    assert (release.protocol, release.file_version, release.source, release.notes) == ("cloud", "1.0.1", "tuya", "better")
    assert release.released == RELEASED, "its age is counted from there, where nobody ordered it"
    assert made.feed.releases_for(DEVICE, replace(COMPONENT, id=ComponentId("9"))) == []
    assert made.feed.releases_for(replace(DEVICE, id=DeviceId("tuya-other")), COMPONENT) == []
    assert made.told == [("tuya", (LAMP,))] * 2
    assert (made.feed.state.releases, made.feed.state.sentence) == (1, "1 device, 1 update offered")
    with pytest.raises(SourceRefused):
        await made.feed.fetch(release)


@pytest.mark.parametrize(
    ("channel", "offered"),
    [
        (replace(CHANNEL, status="none"), False),
        (replace(CHANNEL, status="updating"), False),
        (replace(CHANNEL, status="updated"), False),
        (replace(CHANNEL, status="failed"), True),
        (replace(CHANNEL, offered_version="1.0.0"), False),
        (replace(CHANNEL, offered_version="1.0.0", current_version="1.0.0-beta"), True),
        (replace(CHANNEL, offered_version=None), True),
        (replace(CHANNEL, offered_version=None, status="failed"), False),
    ],
)
async def test_only_what_could_be_ordered_is_offered(channel: CloudChannel, offered: bool) -> None:
    made = bench()
    made.source.answer = (replace(LAMP, channels=(channel,)),)
    await made.feed.read()
    assert bool(made.feed.releases_for(DEVICE, COMPONENT)) is offered


async def test_a_cloud_that_fails_serves_on_for_a_day_and_says_what_is_wrong() -> None:
    made = bench()
    await made.feed.read()
    made.source.answer = SourceUnavailable("away")
    assert not await made.feed.read()
    assert made.feed.state.condition == "degraded"
    assert "serves on" in made.feed.state.sentence
    assert made.feed.releases_for(DEVICE, COMPONENT)
    made.clock.time += timedelta(hours=25)
    assert await made.feed.read()
    assert made.feed.releases_for(DEVICE, COMPONENT) == []


async def test_a_cloud_that_does_not_know_us_is_a_matter_for_the_operator_and_a_busy_one_for_later() -> None:
    made = bench()
    made.source.answer = SourceMisconfigured("wrong secret")
    await made.feed.read()
    assert made.feed.state.condition == "misconfigured"
    until = made.clock.now() + timedelta(minutes=30)
    made.source.answer = SourceBusy("quota", until=until)
    await made.feed.read()
    assert made.feed.state.not_before == until


async def test_what_a_cloud_tells_and_nobody_can_read_is_named() -> None:
    made = bench()
    made.source.skipped = (Skipped(what="row 2", why="device_id is no text"),)
    await made.feed.read()
    assert made.feed.state.sentence.endswith("skipped 1: row 2: device_id is no text")
    assert made.feed.state.service == made.source.service
