"""Orders that leave together for a cloud: one call for all, told apart device by device, and whatever dies at whichever moment, none is given twice.

The cloud is the strict fake over HTTP; moments are counted: before and after every request, and before and after every commit of what was told.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from otagate.engine.conversation import still_to_come
from otagate.engine.talks import Talks
from otagate.engine.timers import SystemClock
from otagate.model.errors import SourceError
from otagate.model.ids import ComponentId, UpdateId, tuya_device_id
from otagate.model.lifecycle import State, advance
from otagate.model.orders import Delegate, Pause, Withdraw
from otagate.net.cache import DiskImageCache
from otagate.net.http import HttpClient, Terms
from otagate.ports import RadioEvent, TransferAdvanced
from otagate.radios.cloud import CloudRadio
from otagate.radios.cloud_orders import Call, Departures
from otagate.sessions.delegated import Patience
from otagate.sources.effects import Request, Response, Service
from otagate.sources.tuya_illume import TuyaIllume
from otagate.sources.tuya_openapi import Account
from otagate.sources.tuya_thing import TuyaThing
from otagate_rig.services.tuya import TuyaService
from otagate_rig.services.tuya_devices import TuyaDevice, TuyaFirmware

PATIENCE = Patience(look=0.01, rest=0.02, moment=0.02, gather=20.0, settle=0.05, recall=0.05, job=60.0, sleepy=60.0, repeat=0.02)
WITHIN = 20.0
OVER = frozenset({State.CONFIRMING, State.SUCCEEDED, State.FAILED, State.QUEUED})


@dataclass
class Quotas:
    async def read(self, service: str) -> str | None:
        return None

    async def write(self, service: str, text: str) -> None:
        return None


class Standing:
    def trouble(self, source: str) -> str | None:
        return None

    def doubt(self, source: str) -> None:
        raise AssertionError(f"{source} knows us")


@dataclass
class Fate:
    """Counts the moments of a life, and ends it at number `at`: nothing is sent and nothing is written from there on."""

    at: int | None = None
    moments: int = 0
    dead: bool = False
    ends: Callable[[], None] = lambda: None

    async def moment(self) -> None:
        self.moments += 1
        if self.moments == self.at:
            self.dead = True
            self.ends()
        if self.dead:
            await asyncio.Event().wait()


@dataclass
class Wire:
    """The HTTP client, which dies with its hub. What is asked about the device `slow` is `reached`, and waits until it may `go`."""

    http: HttpClient
    fate: Fate
    slow: str | None = None
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    go: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, service: Service, request: Request) -> Response:
        if self.slow is not None and ("device_id", self.slow) in request.query:
            self.reached.set()
            await self.go.wait()
        await self.fate.moment()
        try:
            answer = await self.http.send(service, request)
        except SourceError:
            await self.fate.moment()
            raise
        await self.fate.moment()
        return answer


@dataclass
class House:
    """What outlives a hub: the cloud, and the rows of its updates as they are on disk; `codes` is why those that failed did."""

    service: TuyaService
    http: HttpClient
    kind: str = "tuya-illume"
    rows: dict[UpdateId, State] = field(default_factory=dict)
    codes: dict[UpdateId, str | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rows |= {UpdateId(each.device_id): State.QUEUED for each in self.service.devices}

    def posts(self) -> list[str]:
        return [path for method, path in self.service.asked if method == "POST"]

    def source(self) -> TuyaIllume | TuyaThing:
        service = self.service
        account = Account(url=service.url, client_id=service.client_id, secret=service.secret, pace=10_000.0)
        if self.kind == "tuya-illume":
            return TuyaIllume(name=self.kind, account=account, project_id=service.project_id)
        return TuyaThing(name=self.kind, account=account, device_ids=tuple(self.rows))

    async def life(self, fate: Fate) -> None:
        """One life of a hub: every update that has not ended is ordered or taken up again, until all have ended or the hub dies."""
        async with Hub.alive(self, fate) as hub:
            hub.begin()
            async with asyncio.timeout(WITHIN):
                await hub.over.wait()


class Hub:
    """The radio, and an engine that does with what it tells as the real one does: durable before visible."""

    def __init__(self, house: House, fate: Fate) -> None:
        self.house, self.fate = house, fate
        self.told: asyncio.Queue[TransferAdvanced] = asyncio.Queue()
        self.over = asyncio.Event()
        self.changed = asyncio.Event()
        self.wire = Wire(house.http, fate)
        fate.ends = self.over.set
        self.radio = CloudRadio(
            delegates=[house.source()],
            talks=Talks(self.wire),  # type: ignore[arg-type]
            standing=Standing(),
            emit=self._hear,
            clock=SystemClock(),
            patience=PATIENCE,
        )

    @classmethod
    @asynccontextmanager
    async def alive(cls, house: House, fate: Fate) -> AsyncIterator[Hub]:
        hub = cls(house, fate)
        async with asyncio.TaskGroup() as group:
            lives = [group.create_task(hub.radio.run()), group.create_task(hub._write())]
            try:
                yield hub
            finally:
                for each in lives:
                    each.cancel()

    def begin(self) -> None:
        for update, state in self.house.rows.items():
            if state is State.QUEUED:
                self.house.rows[update] = State.OFFERING
            adopted: Any = str(state) if state in (State.OFFERING, State.TRANSFERRING) else None
            if state not in OVER or state is State.QUEUED:
                self.radio.command(order(update, self.house.kind, adopted=adopted))
        self._look()

    async def becomes(self, state: State, *updates: UpdateId) -> None:
        async with asyncio.timeout(WITHIN):
            while any(self.house.rows[each] is not state for each in updates):
                self.changed.clear()
                await self.changed.wait()

    def _hear(self, event: RadioEvent) -> None:
        if isinstance(event, TransferAdvanced):
            self.told.put_nowait(event)

    async def _write(self) -> None:
        written: set[int] = set()
        while True:
            event = await self.told.get()
            if event.token in written:  # on a busy machine it is told again before it is heard
                continue
            written.add(event.token)
            causes = still_to_come(self.house.rows[event.update], event.causes)
            assert causes is not None
            await self.fate.moment()
            for cause in causes:
                self.house.rows[event.update] = advance(self.house.rows[event.update], cause)
                self.house.codes[event.update] = event.code
            await self.fate.moment()
            self.radio.committed(event.token)
            self._look()

    def _look(self) -> None:
        self.changed.set()
        if set(self.house.rows.values()) <= OVER:
            self.over.set()


def order(update: UpdateId, source: str, *, adopted: Any = None) -> Delegate:
    return Delegate(update=update, device=tuya_device_id(update), component=ComponentId("0"), source=source, to_version="1.0.1", adopted=adopted)


@asynccontextmanager
async def house(folder: Path, *, devices: int = 3, kind: str = "tuya-illume", **fake: Any) -> AsyncIterator[House]:
    lamps = [TuyaDevice(device_id=f"vdev{number}", firmwares={0: TuyaFirmware(offered="1.0.1", steps=2)}) for number in range(devices)]
    service = TuyaService(devices=lamps, **fake)
    cache = DiskImageCache(folder / "images")
    http = HttpClient(
        cache=cache,
        quotas=Quotas(),
        clock=SystemClock(),
        answers=folder / "answers",
        allow_private=["127.0.0.1"],
        terms=Terms(retries=()),
    )
    async with service.running(), http:
        yield House(service=service, http=http, kind=kind)


@pytest.mark.asyncio
async def test_devices_that_are_ready_at_once_are_one_order_and_each_is_watched_to_its_own_end(tmp_path: Path) -> None:
    async with house(tmp_path, devices=30) as made:
        made.service.device("vdev3").main.current = "1.0.1"
        made.service.device("vdev4").online = False
        await made.life(Fate())
        assert len(made.posts()) == 1
        assert Counter(made.service.orders) == Counter(set(made.rows) - {"vdev3", "vdev4"})
        assert Counter(made.rows.values()) == {State.CONFIRMING: 28, State.SUCCEEDED: 1, State.QUEUED: 1}


@pytest.mark.asyncio
async def test_no_order_names_more_devices_than_the_cloud_takes(tmp_path: Path) -> None:
    async with house(tmp_path, devices=130) as made:
        await made.life(Fate())
        assert len(made.posts()) == 2
        assert Counter(made.service.orders) == Counter(list(made.rows))


@pytest.mark.asyncio
async def test_a_cloud_that_takes_one_device_at_a_time_is_told_of_one_at_a_time(tmp_path: Path) -> None:
    async with house(tmp_path, kind="tuya-thing") as made:
        await made.life(Fate())
        assert len(made.posts()) == 3
        assert set(made.rows.values()) == {State.CONFIRMING}


@pytest.mark.asyncio
async def test_an_answer_that_is_true_of_some_is_told_of_each(tmp_path: Path) -> None:
    async with house(tmp_path, order="some") as made:
        await made.life(Fate())
        assert made.rows == {"vdev0": State.CONFIRMING, "vdev1": State.FAILED, "vdev2": State.CONFIRMING}
        assert made.codes["vdev1"] == "declined-by-device"
        assert len(made.posts()) == 1


@pytest.mark.asyncio
async def test_one_device_that_the_cloud_does_not_take_keeps_the_others_from_nothing(tmp_path: Path) -> None:
    async with house(tmp_path) as made:
        made.service.refuses = frozenset({"vdev1"})
        await made.life(Fate())
        assert made.rows == {"vdev0": State.CONFIRMING, "vdev1": State.QUEUED, "vdev2": State.CONFIRMING}
        assert made.codes["vdev1"] == "device-unreachable"
        assert Counter(made.service.orders) == {"vdev0": 1, "vdev2": 1}
        assert len(made.posts()) == 4, "one that was refused for all, then each alone"


@pytest.mark.asyncio
async def test_what_is_cancelled_held_or_withdrawn_while_it_waits_for_the_others_is_not_ordered_with_them(tmp_path: Path) -> None:
    async with house(tmp_path, devices=5) as made, Hub.alive(made, Fate()) as hub:
        hub.wire.slow = "vdev4"
        hub.begin()
        async with asyncio.timeout(WITHIN):
            await hub.wire.reached.wait()
        await hub.radio.stop(UpdateId("vdev0"))
        hub.radio.command(Withdraw(update=UpdateId("vdev1")))
        hub.radio.command(Pause(update=UpdateId("vdev2")))
        await hub.becomes(State.QUEUED, UpdateId("vdev2"))
        assert made.posts() == []
        hub.wire.go.set()
        await hub.becomes(State.CONFIRMING, UpdateId("vdev3"), UpdateId("vdev4"))
        assert Counter(made.service.orders) == {"vdev3": 1, "vdev4": 1}


def test_an_order_waits_until_its_call_is_full_nobody_comes_for_a_moment_or_it_has_waited_long_enough() -> None:
    made, call, alone = Departures(moment=1.0, gather=60.0), Call("one", ComponentId("0")), Call("one", ComponentId("0"), UpdateId("u9"))

    def due(now: float, coming: int) -> list[Call]:
        return made.due(now, most=lambda _: 2, coming={call: coming})

    made.join(call, UpdateId("u1"), 0.0)
    assert (due(0.0, 1), due(59.9, 1)) == ([], [])
    assert (due(60.0, 1), due(61.0, 1)) == ([call], []), "it is called once"
    made.join(call, UpdateId("u2"), 62.0)
    assert made.take(call, 2) == ["u1", "u2"], "who is ready by then is in it"
    for number in (3, 4, 5):
        made.join(call, UpdateId(f"u{number}"), 100.0)
    assert due(100.0, 1) == [call]
    assert made.take(call, 2) == ["u3", "u4"]
    assert (due(101.0, 1), due(100.9, 0), due(101.0, 0)) == ([], [], [call])
    assert made.take(call, 2) == ["u5"]
    made.join(alone, UpdateId("u9"), 200.0)
    assert due(200.0, 7) == [alone]
    assert (made.take(alone, 2), made.take(alone, 2), made.waiting) == (["u9"], [], False)


# --- whatever dies at whichever moment --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "order",
    [
        "ok",
        pytest.param("false", marks=pytest.mark.night),
        pytest.param("dropped", marks=pytest.mark.night),
        pytest.param("lost", marks=pytest.mark.night),
    ],
)
@pytest.mark.asyncio
async def test_a_hub_that_dies_at_any_moment_orders_nothing_twice_and_follows_what_it_ordered(tmp_path: Path, order: Any) -> None:
    undisturbed = Fate()
    async with house(tmp_path, devices=2, order=order) as made:
        await made.life(undisturbed)
    for at in range(1, undisturbed.moments + 1):
        async with house(tmp_path, devices=2, order=order) as made:
            await made.life(Fate(at))
            await made.life(Fate())
            story = f"killed at moment {at} of {undisturbed.moments}: {made.rows}, {made.codes}, ordered {made.service.orders}"
            assert max(Counter(made.service.orders).values(), default=0) <= 1, story
            for device in made.service.devices:
                update = UpdateId(device.device_id)
                assert (made.rows[update] is State.CONFIRMING) is (device.main.current == "1.0.1"), story
                assert made.rows[update] is State.CONFIRMING or made.codes[update] == "transfer-interrupted", story
