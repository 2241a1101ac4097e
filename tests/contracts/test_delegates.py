"""The exam that every source of a cloud's devices sits: against a strict fake of the cloud, with every fault that a service can have."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import structlog.testing

from otagate.engine.talks import Talks
from otagate.engine.timers import SystemClock
from otagate.model.clouds import CloudDevice
from otagate.model.errors import SourceBusy, SourceError, SourceMisconfigured
from otagate.net.cache import DiskImageCache
from otagate.net.http import HttpClient, Terms
from otagate.sources.delegated import Delegate, OrderInDoubt
from otagate.sources.registry import DELEGATES, Accounts
from otagate.sources.registry import Terms as SourceTerms
from otagate.sources.tuya_openapi import Account
from otagate_rig.services.server import FAULTS
from otagate_rig.services.tuya import TuyaService
from otagate_rig.services.tuya_devices import TuyaDevice, TuyaFirmware

pytestmark = pytest.mark.asyncio
SECRET = "a-secret-of-a-project"


@dataclass
class Quotas:
    kept: dict[str, str] = field(default_factory=dict)

    async def read(self, service: str) -> str | None:
        return None

    async def write(self, service: str, text: str) -> None:
        self.kept[service] = str(json.loads(text))


@dataclass(frozen=True)
class Exam:
    """A source, its cloud, and who drives them."""

    source: Delegate
    service: TuyaService
    account: Account
    talks: Talks

    async def look(self) -> tuple[CloudDevice, ...]:
        return (await self.talks.hold(self.source.service, self.source.look())).devices

    async def look_at(self, device_id: str = "vdev1") -> CloudDevice:
        return await self.talks.hold(self.source.service, self.source.look_at(device_id))

    async def start(self, *device_ids: str) -> dict[str, Any]:
        return dict(await self.talks.hold(self.source.service, self.source.start(device_ids or ("vdev1",), "0")))


@pytest.fixture(params=DELEGATES)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@asynccontextmanager
async def sitting(
    kind: str, directory: Path, service: TuyaService | None = None, *, secret: str = SECRET, whole: float = 20.0
) -> AsyncIterator[Exam]:
    service = service or TuyaService()

    client = HttpClient(
        cache=DiskImageCache(directory / "images"),
        quotas=Quotas(),
        clock=SystemClock(),
        answers=directory / "answers",
        allow_private=["127.0.0.1"],
        terms=Terms(whole=whole, stall=whole, retries=(0.01,)),
    )
    async with service.running() as url, client:
        terms = SourceTerms(
            name=kind,
            url=url,
            client_id=service.client_id,
            client_secret=secret,
            project_id=service.project_id,
            device_ids=tuple(each.device_id for each in service.devices),
        )
        accounts = Accounts(pace=100.0)
        yield Exam(source=DELEGATES[kind](terms, accounts), service=service, account=accounts.of(terms), talks=Talks(client))


async def test_an_update_is_offered_ordered_and_watched_to_its_end(kind: str, tmp_path: Path) -> None:
    async with sitting(kind, tmp_path) as exam:
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


@pytest.mark.parametrize("fault", FAULTS)
async def test_every_fault_is_a_source_error_in_bounded_time_and_tells_no_secret(
    kind: str, tmp_path: Path, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with structlog.testing.capture_logs() as logs:
        async with sitting(kind, tmp_path, whole=1.0) as exam:
            await exam.look()
            token = exam.account.token
            assert token is not None
            exam.service.fault = fault
            with pytest.raises(SourceError) as caught:
                async with asyncio.timeout(30):
                    await exam.look()
    assert "://" not in str(caught.value)
    shown = f"{caught.value} {logs}" + "".join(each.getMessage() for each in caplog.records if each.name != "aiohttp.access")
    assert not [each for each in (SECRET, token.access, token.refresh) if each in shown]
    assert len(str(caught.value)) < 400


async def test_a_token_that_was_revoked_is_asked_for_anew_once(kind: str, tmp_path: Path) -> None:
    async with sitting(kind, tmp_path) as exam:
        await exam.look()
        exam.service.revoke()
        assert await exam.look()
        assert sum("/token" in path for _, path in exam.service.asked) == 2


async def test_a_token_that_has_ended_is_renewed_with_the_refresh_token(kind: str, tmp_path: Path) -> None:
    async with sitting(kind, tmp_path) as exam:
        await exam.look_at()
        token = exam.account.token
        assert token is not None
        exam.account.token = replace(token, until=SystemClock().now())
        await exam.look_at()
        paths = [path for _, path in exam.service.asked if "/token" in path]
        assert [path.startswith("/v1.0/token/") for path in paths] == [False, True]


@pytest.mark.parametrize("hours", [1, -1])
async def test_a_clock_that_is_an_hour_off_is_followed(kind: str, tmp_path: Path, hours: int) -> None:
    async with sitting(kind, tmp_path, TuyaService(ahead=3_600.0 * hours)) as exam:
        assert await exam.look()
        assert await exam.start() == {"vdev1": "started"}


async def test_a_wrong_secret_is_a_matter_for_the_operator(kind: str, tmp_path: Path) -> None:
    async with sitting(kind, tmp_path, secret="another-secret") as exam:
        with pytest.raises(SourceMisconfigured, match="check client_id, the secret and the data centre"):
            await exam.look()
        assert exam.service.signed == 0


async def test_a_used_up_quota_is_waited_for(kind: str, tmp_path: Path) -> None:
    async with sitting(kind, tmp_path, TuyaService(quota=0)) as exam:
        with pytest.raises(SourceBusy) as caught:
            await exam.look()
        assert caught.value.until is not None


@pytest.mark.parametrize("number", [1110, 1111, 1113, 1199])
async def test_a_cloud_that_was_asked_too_often_is_left_alone_for_a_while(kind: str, tmp_path: Path, number: int) -> None:
    async with sitting(kind, tmp_path, TuyaService(refusal=number)) as exam:
        with pytest.raises(SourceBusy, match=f"{number}.*too many calls") as caught:
            await exam.look()
        assert caught.value.until is not None
        exam.service.refusal = None
        assert await exam.look()


@pytest.mark.parametrize("order", ["dropped", "lost"])
async def test_an_order_whose_answer_is_lost_is_in_doubt_and_not_sent_again(kind: str, tmp_path: Path, order: Any) -> None:
    async with sitting(kind, tmp_path, TuyaService(order=order)) as exam:
        with pytest.raises(OrderInDoubt):
            await exam.start()
        assert exam.service.orders == ["vdev1"]


@pytest.mark.parametrize("fault", ["html", "garbage", "empty", "broken", "drops"])
async def test_an_order_that_is_answered_with_nonsense_is_in_doubt(kind: str, tmp_path: Path, fault: str) -> None:
    async with sitting(kind, tmp_path) as exam:
        await exam.look()
        conversation = exam.source.start(["vdev1"], "0")

        def spoilt() -> Any:
            answer = None
            while True:
                effect = conversation.send(answer) if answer is not None else next(conversation)
                exam.service.fault = fault if effect.request.method == "POST" else None  # type: ignore[union-attr]
                try:
                    answer = yield effect
                except SourceError as error:
                    conversation.throw(error)

        with pytest.raises(OrderInDoubt):
            await exam.talks.hold(exam.source.service, spoilt())


async def test_values_that_are_text_are_read_as_what_they_mean(kind: str, tmp_path: Path) -> None:
    async with sitting(kind, tmp_path, TuyaService(as_text=True)) as exam:
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
