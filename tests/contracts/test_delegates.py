"""The exam that every source of a cloud's devices sits: against a strict fake of the cloud, with every fault that a service can have."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog.testing

from otagate.engine.talks import Talks
from otagate.engine.timers import SystemClock
from otagate.model.clouds import CloudDevice
from otagate.model.errors import SourceBusy, SourceError, SourceMisconfigured, SourceRefused
from otagate.model.ids import Sha256
from otagate.net.cache import DiskImageCache
from otagate.net.http import HttpClient, Terms
from otagate.sources import iotaap
from otagate.sources.delegated import Delegate, OrderInDoubt, Publisher
from otagate.sources.effects import Conversation
from otagate.sources.registry import DELEGATES, Accounts
from otagate.sources.registry import Terms as SourceTerms
from otagate.sources.tuya_openapi import Account
from otagate_rig.image import build_image, make_payload
from otagate_rig.services.iotaap import IotaapService
from otagate_rig.services.server import FAULTS, FakeService
from otagate_rig.services.tuya import TuyaService
from otagate_rig.services.tuya_devices import TuyaDevice, TuyaFirmware

pytestmark = pytest.mark.asyncio
SECRET = "a-secret-of-a-project"
IOTAAP = "5e1b57808711f904f5df4bad"
IOTAAP_TOKEN = "token-of-its"
EVERY = (*DELEGATES, "iotaap")


@dataclass
class Quotas:
    kept: dict[str, str] = field(default_factory=dict)

    async def read(self, service: str) -> str | None:
        return None

    async def write(self, service: str, text: str) -> None:
        self.kept[service] = str(json.loads(text))


class Clock(SystemClock):
    """The time, which a test moves on."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        return super().now() + self.ahead


@dataclass(frozen=True)
class Exam:
    """A source, its cloud, and who drives them: with patience, or without where nothing good is to be waited for."""

    source: Delegate
    service: Any
    account: Any
    talks: Talks
    impatient: Talks
    image: Sha256
    clock: Clock

    @property
    def device(self) -> str:
        return IOTAAP if isinstance(self.service, IotaapService) else "vdev1"

    @property
    def orders(self) -> list[str]:
        """The devices of every order that reached the cloud."""
        return [each[0] for each in self.service.published] if isinstance(self.service, IotaapService) else self.service.orders

    @property
    def tokens(self) -> list[str]:
        """The paths of all that was asked for a token."""
        return [path for _, path in self.service.asked if "/token" in path or path.endswith("/login")]

    def secrets(self) -> list[str]:
        if isinstance(self.account, Account):
            token = self.account.token
            return [SECRET, *(() if token is None else (token.access, token.refresh))]
        return [SECRET, IOTAAP_TOKEN, self.account.email, self.account.token]

    async def look(self, talks: Talks | None = None) -> tuple[CloudDevice, ...]:
        return (await (talks or self.talks).hold(self.source.service, self.source.look())).devices

    async def look_at(self, talks: Talks | None = None) -> CloudDevice:
        return await (talks or self.talks).hold(self.source.service, self.source.look_at(self.device))

    async def start(self) -> dict[str, Any]:
        return dict(await self.talks.hold(self.source.service, self.source.start((self.device,), "0")))

    def order(self) -> Conversation[Any]:
        """What an operator's order is for this cloud: to bring what it offers, or what is published to it."""
        if isinstance(self.source, Publisher):
            return self.source.publish(self.device, image=self.image, version="1.0.2")
        return self.source.start([self.device], "0")


@pytest.fixture(params=EVERY)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=DELEGATES)
def tuya(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def service_of(kind: str, **more: Any) -> Any:
    """A fake of its cloud, with one device."""
    if kind != "iotaap":
        return TuyaService(**more)
    service = IotaapService(devices={IOTAAP: IOTAAP_TOKEN}, password=SECRET, **more)
    service.deploy(IOTAAP, "1.0.1", b"as it was made")
    return service


def source_of(kind: str, service: FakeService, secret: str) -> tuple[Delegate, Any]:
    """The source as its configuration makes it, and its account."""
    if isinstance(service, TuyaService):
        terms = SourceTerms(
            name=kind,
            url=service.url,
            client_id=service.client_id,
            client_secret=secret,
            project_id=service.project_id,
            device_ids=tuple(each.device_id for each in service.devices),
        )
        accounts = Accounts(pace=100.0)
        return DELEGATES[kind](terms, accounts), accounts.of(terms)
    account = iotaap.Account(api_url=f"{service.url}/v1", email="operator@example.org", password=secret)
    return iotaap.Iotaap(account=account, ota_url=f"{service.url}/v1", tokens={IOTAAP: IOTAAP_TOKEN}), account


@asynccontextmanager
async def sitting(kind: str, directory: Path, service: FakeService | None = None, *, secret: str = SECRET) -> AsyncIterator[Exam]:
    service = service or service_of(kind)
    cache = DiskImageCache(directory / "images")
    clock = Clock()
    image = await cache.add(build_image(0x1189, 0x0083, 2, payload=make_payload(1_000, 1)))

    def client(whole: float) -> HttpClient:
        return HttpClient(
            cache=cache,
            quotas=Quotas(),
            clock=clock,
            answers=directory / "answers",
            allow_private=["127.0.0.1"],
            terms=Terms(whole=whole, stall=whole, retries=(0.01,)),
        )

    async with service.running(), client(20.0) as patient, client(0.3) as impatient:
        source, account = source_of(kind, service, secret)
        yield Exam(source=source, service=service, account=account, talks=Talks(patient), impatient=Talks(impatient), image=image, clock=clock)


async def test_an_update_is_offered_ordered_and_watched_to_its_end(tuya: str, tmp_path: Path) -> None:
    async with sitting(tuya, tmp_path) as exam:
        (device,) = await exam.look()
        assert (device.channels[0].status, device.channels[0].offered_version) == ("available", "1.0.1")
        seen = await exam.look_at()
        assert (seen.channels[0].current_version, seen.channels[0].offered_version) == ("1.0.0", "1.0.1")
        assert await exam.start() == {"vdev1": "started"}
        exam.service.device().main.steps = 1
        await exam.look_at()
        done = await exam.look_at()
        assert done.channels[0].current_version == "1.0.1"
        assert exam.service.orders == ["vdev1"]


async def test_what_is_published_is_what_its_device_takes_and_nothing_is_ordered_otherwise(tmp_path: Path) -> None:
    async with sitting("iotaap", tmp_path) as exam:
        seen = await exam.look_at()
        assert await exam.look() == (seen,)
        assert seen.channels[0].current_version == "1.0.1"
        with pytest.raises(SourceRefused, match="image and a version"):
            await exam.start()
        await exam.talks.hold(exam.source.service, exam.order())
        assert (await exam.look_at()).channels[0].current_version == "1.0.2"
        assert exam.orders == [IOTAAP]


@pytest.mark.parametrize("fault", FAULTS)
async def test_every_fault_is_a_source_error_in_bounded_time_and_tells_no_secret(
    kind: str, tmp_path: Path, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    told: list[SourceError] = []
    with structlog.testing.capture_logs() as logs:
        async with sitting(kind, tmp_path) as exam:
            await exam.look()
            secrets = exam.secrets()
            exam.service.fault = fault
            for ask in (exam.look, exam.look_at):
                with pytest.raises(SourceError) as caught:
                    async with asyncio.timeout(30):
                        await ask(exam.impatient)
                told.append(caught.value)
    for error in told:
        assert "://" not in str(error)
        assert len(str(error)) < 400
    shown = f"{told} {logs}" + "".join(each.getMessage() for each in caplog.records if each.name != "aiohttp.access")
    assert not [each for each in secrets if each in shown]


async def test_a_token_that_was_revoked_is_asked_for_anew_once(kind: str, tmp_path: Path) -> None:
    async with sitting(kind, tmp_path) as exam:
        await exam.look()
        exam.service.revoke()
        assert await exam.look()
        assert len(exam.tokens) == 2


async def test_a_token_that_has_ended_is_renewed_with_the_refresh_token(tuya: str, tmp_path: Path) -> None:
    async with sitting(tuya, tmp_path) as exam:
        await exam.look_at()
        token = exam.account.token
        assert token is not None
        exam.account.token = replace(token, until=SystemClock().now())
        await exam.look_at()
        assert [path.startswith("/v1.0/token/") for path in exam.tokens] == [False, True]


@pytest.mark.parametrize("hours", [1, -1])
async def test_a_clock_that_is_an_hour_off_is_followed(tuya: str, tmp_path: Path, hours: int) -> None:
    async with sitting(tuya, tmp_path, TuyaService(ahead=3_600.0 * hours)) as exam:
        assert await exam.look()
        assert await exam.start() == {"vdev1": "started"}


async def test_a_wrong_secret_is_a_matter_for_the_operator(kind: str, tmp_path: Path) -> None:
    wanted = "check email and password_file" if kind == "iotaap" else "check client_id, the secret and the data centre"
    async with sitting(kind, tmp_path, secret="another-secret") as exam:
        with pytest.raises(SourceMisconfigured, match=wanted):
            await exam.look()
        assert not any("/ota" in path or "/cloud" in path for _, path in exam.service.asked), "without a token nothing else is asked"


async def test_a_used_up_quota_is_waited_for(tuya: str, tmp_path: Path) -> None:
    async with sitting(tuya, tmp_path, TuyaService(quota=0)) as exam:
        with pytest.raises(SourceBusy) as caught:
            await exam.look()
        assert caught.value.until is not None


@pytest.mark.parametrize("number", [1110, 1111, 1113, 1199])
async def test_a_cloud_that_was_asked_too_often_is_left_alone_for_a_while(tuya: str, tmp_path: Path, number: int) -> None:
    async with sitting(tuya, tmp_path, TuyaService(refusal=number)) as exam:
        for minutes in (1, 2):
            with pytest.raises(SourceBusy, match=f"{number}.*too many calls") as caught:
                await exam.look()
            assert caught.value.until is not None
            assert abs(caught.value.until - exam.clock.now() - timedelta(minutes=minutes)) < timedelta(seconds=20)
            asked = len(exam.service.asked)
            with pytest.raises(SourceBusy, match="left alone until"):
                await exam.look_at()
            assert len(exam.service.asked) == asked, "no other call leaves meanwhile either"
            exam.clock.ahead += timedelta(minutes=minutes)
        exam.service.refusal = None
        assert await exam.look()
        assert exam.account.quiet_until is None


@pytest.mark.parametrize("arrived", [True, False])
async def test_an_order_whose_answer_is_lost_is_in_doubt_and_not_sent_again(kind: str, tmp_path: Path, arrived: bool) -> None:
    lossy: dict[str, Any] = {"order": "dropped" if arrived else "lost"}
    if kind == "iotaap":
        lossy = {"loses": "the answer" if arrived else "the order"}
    async with sitting(kind, tmp_path, service_of(kind, **lossy)) as exam:
        with pytest.raises(OrderInDoubt):
            await exam.talks.hold(exam.source.service, exam.order())
        posted = [path for method, path in exam.service.asked if method == "POST" and path not in exam.tokens]
        assert (len(posted), len(exam.orders)) == (1, 1 if arrived or kind != "iotaap" else 0)


@pytest.mark.parametrize("fault", ["html", "garbage", "empty", "broken", "drops"])
async def test_an_order_that_is_answered_with_nonsense_is_in_doubt(kind: str, tmp_path: Path, fault: str) -> None:
    async with sitting(kind, tmp_path) as exam:
        await exam.look()
        conversation = exam.order()

        def spoilt() -> Any:
            answer = None
            while True:
                effect = conversation.send(answer) if answer is not None else next(conversation)
                exam.service.fault = None if effect.request.idempotent else fault
                try:
                    answer = yield effect
                except SourceError as error:
                    conversation.throw(error)

        with pytest.raises(OrderInDoubt):
            await exam.talks.hold(exam.source.service, spoilt())


async def test_values_that_are_text_are_read_as_what_they_mean(tuya: str, tmp_path: Path) -> None:
    async with sitting(tuya, tmp_path, TuyaService(as_text=True)) as exam:
        (device,) = await exam.look()
        assert device.channels[0].status == "available"
        assert await exam.start() == {"vdev1": "started"}


# --- commercial lighting ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("order", "outcome"), [("false", "started"), ("ignored", "not-started")])
async def test_an_order_that_is_answered_with_false_is_read_back(tmp_path: Path, order: Any, outcome: str) -> None:
    async with sitting("tuya-illume", tmp_path, TuyaService(order=order)) as exam:
        assert await exam.start() == {"vdev1": outcome}
        assert exam.service.orders == ["vdev1"]


async def test_parameters_are_put_into_the_body_where_the_cloud_looks_for_them_there(tmp_path: Path) -> None:
    async with sitting("tuya-illume", tmp_path, TuyaService(parameters="body")) as exam:
        assert await exam.look()
        before = len(exam.service.asked)
        await exam.look()
        assert len(exam.service.asked) == before + 3, "what was learnt is remembered"


async def test_a_list_is_read_page_by_page(tmp_path: Path) -> None:
    devices = [TuyaDevice(device_id=f"vdev{number}", firmwares={0: TuyaFirmware(offered="2.0")}) for number in range(205)]
    async with sitting("tuya-illume", tmp_path, TuyaService(devices=devices)) as exam:
        assert len(await exam.look()) == 205
        assert len({path for _, path in exam.service.asked if "tobeupgraded" in path}) == 3


# --- thing ------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", ["list", "one", "envelope"])
async def test_the_three_shapes_of_a_devices_firmware_say_the_same(tmp_path: Path, shape: Any) -> None:
    async with sitting("tuya-thing", tmp_path, TuyaService(shape=shape)) as exam:
        (channel,) = (await exam.look_at()).channels
        assert (channel.channel, channel.status, channel.current_version, channel.offered_version) == ("0", "available", "1.0.0", "1.0.1")
