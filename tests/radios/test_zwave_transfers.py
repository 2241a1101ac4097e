"""Orders and the driver's words between sessions and a driver that answers by heart: what is sent, what is told, and who is meant."""

from __future__ import annotations

import asyncio
import base64
import io
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from otagate.model.errors import DeviceUnreachable, NotCancellable, RadioUnavailable, UnknownDevice
from otagate.model.ids import DeviceId, UpdateId, zwave_component_id, zwave_device_id
from otagate.model.lifecycle import Cause
from otagate.model.orders import Activate, Park, Send, Watch, Withdraw
from otagate.ports import ForeignTransfer, Knocked, RadioEvent, TransferAdvanced, TransferProgressed
from otagate.radios.zwave_line import CommandRefused
from otagate.radios.zwave_nodes import Metadata
from otagate.radios.zwave_transfers import Transfers
from otagate.sessions.zwave_patience import Patience
from otagate.sessions.zwave_words import Prepared
from tests.radios.zwave_driver import HOME_ID, Answers

PLUG, LAMP = zwave_device_id(HOME_ID, 2), zwave_device_id(HOME_ID, 3)
ONE, TWO = UpdateId("one"), UpdateId("two")
IMAGE = bytes(range(200)) * 20
METADATA = Metadata(manufacturer_id=0x027A, firmware_ids=(0x1000, 0x2000), upgradable=True, largest_fragment=40, hardware_version=1, activation=True)
TOLD = Prepared(upgradable=True, targets=2, largest_fragment=40, version="1.6")
DONE = {"result": {"success": True, "status": 255, "waitTime": 7, "reInterview": True}}
REFUSED = CommandRefused(1503, "Failed to start the update: The battery level is too low!")
ZIP_WANTED = CommandRefused(None, "unknown_error: Error: invalid zip data\n    at x.js")


def send(update: UpdateId = ONE, device: DeviceId = PLUG, target: int = 0, **more: Any) -> Send:
    given: dict[str, Any] = {"image": memoryview(IMAGE), "from_version": "1.6", "to_version": "1.7"}
    return Send(update=update, device=device, component=zwave_component_id(target), **(given | more))


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> Any:
        raise NotImplementedError


class Stage:
    """Transfers with everything around them."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.told: list[RadioEvent] = []
        self.rested: list[tuple[DeviceId, float]] = []
        self.asleep: set[DeviceId] = set()
        self.prepared: Prepared | Exception = TOLD
        self.news = asyncio.Event()
        self.transfers = Transfers(nodes=self, emit=self._emit, clock=self.clock, patience=replace(Patience(), stop=0.05, share=0.0))

    def _emit(self, event: RadioEvent) -> None:
        self.told.append(event)
        self.news.set()

    async def prepare(self, device: DeviceId, target: int) -> tuple[Prepared, Metadata | None]:
        del device, target
        if isinstance(self.prepared, Exception):
            raise self.prepared
        return self.prepared, METADATA

    def rest(self, device: DeviceId, seconds: float) -> None:
        self.rested.append((device, seconds))

    def sleeps(self, device: DeviceId) -> bool:
        return device in self.asleep

    @asynccontextmanager
    async def connected(self, line: Answers) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as tasks:
            self.transfers.connect(line, tasks)
            yield
            self.transfers.lose()
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                if task.get_name().startswith("zwave:"):
                    task.cancel()

    async def advanced(self, update: UpdateId = ONE) -> TransferAdvanced:
        """The next thing that is told of an update; it is written down."""
        async with asyncio.timeout(10):
            while True:
                for event in self.told:
                    if isinstance(event, TransferAdvanced) and event.update == update:
                        self.told.remove(event)
                        self.transfers.committed(event.token)
                        return event
                self.news.clear()
                await self.news.wait()


@pytest.fixture
def stage() -> Stage:
    return Stage()


async def until_asked(line: Answers, key: str, times: int = 1) -> list[dict[str, Any]]:
    async with asyncio.timeout(10):
        while len(found := [fields for each, fields in line.asked if each == key]) < times:
            await asyncio.sleep(0)
    return found


async def never() -> None:
    """An answer that does not come."""
    await asyncio.get_running_loop().create_future()


# --- what is sent ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
@pytest.mark.parametrize(("schema", "packed"), [(35, False), (46, False), (47, True), (50, True)])
async def test_a_server_gets_the_image_in_the_only_form_that_it_takes(stage: Stage, schema: int, packed: bool) -> None:
    line = Answers(schema, update_firmware=DONE)
    async with stage.connected(line):
        stage.transfers.command(send(target=1))
        assert (await stage.advanced()).causes == (Cause.ACCEPTED, Cause.REBOOTED)
    ((fields,),) = ([each["updates"] for key, each in line.asked if key == "update_firmware"],)
    (upload,) = fields
    data = base64.b64decode(upload["file"])
    assert upload["firmwareTarget"] == 1
    assert ("fileFormat" in upload) is not packed  # an archive with a format would be flashed as it is
    if packed:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            assert archive.namelist() == ["image.bin"]
            data = archive.read("image.bin")
    assert data == IMAGE


@pytest.mark.asyncio
async def test_a_server_that_unpacks_everything_though_its_schema_does_not_say_so_is_given_an_archive(stage: Stage) -> None:
    line = Answers(40, update_firmware=[ZIP_WANTED, DONE])
    async with stage.connected(line):
        stage.transfers.command(send())
        assert (await stage.advanced()).causes == (Cause.ACCEPTED, Cause.REBOOTED)
    names = [fields["updates"][0]["filename"] for _, fields in line.asked]
    assert names == ["image.bin", "image.zip"]


@pytest.mark.asyncio
@pytest.mark.parametrize(("schema", "answers"), [(50, [ZIP_WANTED]), (40, [ZIP_WANTED, ZIP_WANTED])])
async def test_a_server_that_takes_no_archive_either_is_not_asked_for_ever(stage: Stage, schema: int, answers: list[Exception]) -> None:
    line = Answers(schema, update_firmware=list(answers))
    async with stage.connected(line):
        stage.transfers.command(send())
        told = await stage.advanced()
    assert (told.causes, told.code, len(line.asked)) == ((Cause.EXPIRED,), "driver-error", len(answers))


@pytest.mark.asyncio
async def test_a_refusal_of_the_driver_is_told_with_its_reason(stage: Stage) -> None:
    async with stage.connected(Answers(update_firmware=REFUSED)):
        stage.transfers.command(send())
        assert (await stage.advanced()).code == "battery-low"


@pytest.mark.asyncio
async def test_a_node_that_cannot_be_asked_is_sent_nothing(stage: Stage) -> None:
    stage.prepared = DeviceUnreachable("node 2 does not answer")
    line = Answers()
    async with stage.connected(line):
        stage.transfers.command(send())
        told = await stage.advanced()
    assert (told.causes, told.code, told.detail, line.asked) == ((Cause.EXPIRED,), "device-unreachable", "node 2 does not answer", [])


@pytest.mark.asyncio
async def test_a_node_that_was_removed_before_its_turn_ends_its_update_and_nothing_else(stage: Stage) -> None:
    stage.prepared = UnknownDevice("radio zwave0 does not know it")
    async with stage.connected(Answers()):
        stage.transfers.command(send())
        told = await stage.advanced()
    assert (told.causes, told.code) == ((Cause.DECLINED,), "device-gone")


@pytest.mark.asyncio
async def test_an_order_that_is_given_twice_is_one_transfer(stage: Stage) -> None:
    line = Answers(update_firmware=never)
    async with stage.connected(line):
        stage.transfers.command(send())
        stage.transfers.command(send())
        await until_asked(line, "update_firmware")
        stage.transfers.command(send())
        await asyncio.sleep(0)
        assert [key for key, _ in line.asked] == ["update_firmware"]


@pytest.mark.asyncio
async def test_an_order_before_the_connection_is_carried_out_when_it_stands(stage: Stage) -> None:
    stage.transfers.command(send())
    line = Answers(update_firmware=DONE)
    async with stage.connected(line):
        assert (await stage.advanced()).causes == (Cause.ACCEPTED, Cause.REBOOTED)
    assert stage.rested == [(PLUG, 0.0)]


# --- what is told ---------------------------------------------------------------------------------------------------------------------------


def progress(sent: Any, total: Any = 100, **more: Any) -> dict[str, Any]:
    return {"sentFragments": sent, "totalFragments": total, "currentFile": 1, "totalFiles": 1, "progress": 1.0} | more


@asynccontextmanager
async def moving(stage: Stage, line: Answers | None = None) -> AsyncIterator[Answers]:
    """A transfer to the plug that has begun."""
    line = line or Answers(update_firmware=never)
    async with stage.connected(line):
        stage.transfers.command(send())
        await until_asked(line, "update_firmware")
        stage.transfers.progressed(PLUG, progress(10))
        assert (await stage.advanced()).causes == (Cause.ACCEPTED,)
        yield line


def counted(stage: Stage) -> list[tuple[int, tuple[int, int] | None]]:
    return [(each.offset, each.fragments) for each in stage.told if isinstance(each, TransferProgressed)]


@pytest.mark.asyncio
async def test_fragments_are_counted_as_bytes_of_the_image(stage: Stage) -> None:
    async with moving(stage):
        stage.transfers.progressed(PLUG, progress(50))
        stage.transfers.progressed(PLUG, progress(43))
        assert counted(stage) == [(400, (10, 100)), (2_000, (50, 100)), (2_000, (50, 100))]
        assert stage.transfers.moving(PLUG)
        assert not stage.transfers.moving(LAMP)


@pytest.mark.asyncio
@pytest.mark.parametrize("told", [{}, progress(None), progress("5"), progress(5, None), progress(5, 0), progress(5, -1)])
async def test_progress_that_makes_no_sense_changes_nothing(stage: Stage, told: dict[str, Any]) -> None:
    async with moving(stage):
        stage.transfers.progressed(PLUG, told)
        assert counted(stage) == [(400, (10, 100))]


@pytest.mark.asyncio
@pytest.mark.parametrize("result", [{}, {"status": None}, {"status": "255"}, {"success": True}])
async def test_an_end_without_a_status_is_no_end(stage: Stage, result: dict[str, Any]) -> None:
    async with moving(stage):
        stage.transfers.finished(PLUG, result)
        assert stage.transfers.moving(PLUG)


@pytest.mark.asyncio
@pytest.mark.parametrize(("wait", "rest"), [(7, 7.0), (7_200, 7_200.0), (None, 0.0), ("soon", 0.0), (-5, 0.0), (1e9, 0.0)])
async def test_a_node_is_left_alone_for_as_long_as_it_says_in_reason(wait: object, rest: float) -> None:
    stage = Stage()
    stage.transfers = Transfers(nodes=stage, emit=stage._emit, clock=stage.clock, patience=Patience())
    async with moving(stage):
        stage.transfers.finished(PLUG, {"success": True, "status": 255, "waitTime": wait})
        told = await stage.advanced()
        assert (told.causes[-1], told.rest) == (Cause.REBOOTED, rest)
    assert stage.rested == [(PLUG, rest)]


@pytest.mark.asyncio
async def test_what_was_told_and_not_written_down_is_told_again(stage: Stage) -> None:
    line = Answers(update_firmware=REFUSED)
    async with stage.connected(line):
        stage.transfers.command(send())
        async with asyncio.timeout(10):
            while not stage.told:
                await stage.news.wait()
        stage.transfers.tick()
        assert len(stage.told) == 1
        stage.clock.seconds += 5.0
        stage.transfers.tick()
        assert len(stage.told) == 2
        stage.transfers.committed(stage.told[0].token)  # type: ignore[union-attr]
        stage.clock.seconds += 5.0
        stage.transfers.tick()
        assert len(stage.told) == 2


@pytest.mark.asyncio
async def test_two_nodes_are_not_mixed_up(stage: Stage) -> None:
    line = Answers(update_firmware=never)
    async with moving(stage, line):
        stage.transfers.command(send(TWO, LAMP))
        await until_asked(line, "update_firmware", 2)
        stage.transfers.progressed(LAMP, progress(90))
        assert (await stage.advanced(TWO)).causes == (Cause.ACCEPTED,)
        stage.transfers.finished(LAMP, {"success": False, "status": 7})
        assert (await stage.advanced(TWO)).code == "image-too-large"
        assert stage.transfers.moving(PLUG)


@pytest.mark.asyncio
async def test_a_node_that_is_removed_ends_its_transfer_and_no_other(stage: Stage) -> None:
    async with moving(stage):
        stage.transfers.gone(LAMP)
        assert stage.transfers.moving(PLUG)
        stage.transfers.gone(PLUG)
        assert (await stage.advanced()).code == "device-gone"


@pytest.mark.asyncio
async def test_a_parked_update_knocks_and_tells_no_progress(stage: Stage) -> None:
    async with moving(stage):
        stage.told.clear()
        stage.transfers.command(Park(update=ONE))
        stage.transfers.progressed(PLUG, progress(50))
        stage.transfers.finished(PLUG, {"success": False, "status": 7})
        assert [type(each) for each in stage.told] == [Knocked]


# --- other programs -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_a_transfer_that_nobody_here_began_is_another_programs_and_told_now_and_then(stage: Stage) -> None:
    async with stage.connected(Answers()):
        for sent in (1, 2, 3):
            stage.transfers.progressed(LAMP, progress(sent))
        assert stage.told == [ForeignTransfer(device=LAMP)]
        stage.clock.seconds += 5.0
        stage.transfers.progressed(LAMP, progress(4))
        assert len(stage.told) == 2
        stage.clock.seconds += 5.0
        stage.transfers.progressed(LAMP, progress(100))  # it is over already
        assert len(stage.told) == 2


@pytest.mark.asyncio
async def test_the_last_progress_of_our_own_transfer_is_no_other_programs(stage: Stage) -> None:
    async with moving(stage):
        stage.transfers.finished(PLUG, {"success": False, "status": 7})
        await stage.advanced()
        stage.told.clear()
        stage.transfers.progressed(PLUG, progress(99))
        assert stage.told == []
        stage.clock.seconds += 3.0
        stage.transfers.progressed(PLUG, progress(99))
        assert stage.told == [ForeignTransfer(device=PLUG)]


@pytest.mark.asyncio
async def test_of_several_files_of_another_program_only_the_share_is_of_all_of_them(stage: Stage) -> None:
    async with stage.connected(Answers(is_any_ota_firmware_update_in_progress={"progress": True})):
        stage.transfers.command(Watch(update=ONE, device=LAMP, component=zwave_component_id(0)))
        stage.transfers.progressed(LAMP, progress(3, 10, totalFiles=2, progress=65.0))
        assert (await stage.advanced()).causes == (Cause.ACCEPTED,)
        assert counted(stage) == [(0, (6_500, 10_000))]


# --- stopping -------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_a_transfer_is_stopped_when_the_driver_says_so(stage: Stage) -> None:
    async with moving(stage, Answers(update_firmware=never, abort_firmware_update={})) as line:
        await stage.transfers.stop(ONE)
        stage.transfers.command(Withdraw(update=ONE))
        assert [key for key, _ in line.asked] == ["update_firmware", "abort_firmware_update"]
        assert not stage.transfers.moving(PLUG)


@pytest.mark.asyncio
async def test_a_driver_that_says_that_it_is_too_late_is_believed(stage: Stage) -> None:
    late = CommandRefused(1504, "The firmware was already transmitted completely, cannot abort anymore.")
    async with moving(stage, Answers(update_firmware=never, abort_firmware_update=late)):
        with pytest.raises(NotCancellable, match="had the whole image"):
            await stage.transfers.stop(ONE)


@pytest.mark.asyncio
async def test_a_node_that_did_not_confirm_that_it_stopped_has_stopped_all_the_same(stage: Stage) -> None:
    unconfirmed = CommandRefused(1504, "The node did not acknowledge the aborted update")
    async with moving(stage, Answers(update_firmware=never, abort_firmware_update=unconfirmed)):
        await stage.transfers.stop(ONE)


@pytest.mark.asyncio
async def test_a_driver_that_does_not_stop_in_time_cancels_the_update_when_it_does(stage: Stage) -> None:
    async with moving(stage, Answers(update_firmware=never, abort_firmware_update=never)):
        with pytest.raises(RadioUnavailable, match="the update is cancelled when it has"):
            await stage.transfers.stop(ONE)
        stage.transfers.finished(PLUG, {"success": False, "status": 1})
        stage.clock.seconds += 5.0
        stage.transfers.tick()
        assert (await stage.advanced()).causes == (Cause.CANCELLED,)


@pytest.mark.asyncio
async def test_a_connection_that_is_lost_while_a_transfer_is_stopped_leaves_that_open(stage: Stage) -> None:
    async with moving(stage, Answers(update_firmware=never, abort_firmware_update=never)) as line, asyncio.TaskGroup() as group:
        stopping = group.create_task(_stopped(stage))
        await until_asked(line, "abort_firmware_update")
        stage.transfers.lose()
        assert "before the driver told" in await stopping


async def _stopped(stage: Stage) -> str:
    with pytest.raises(RadioUnavailable) as told:
        await stage.transfers.stop(ONE)
    return str(told.value)


@pytest.mark.asyncio
async def test_a_sleeping_node_that_has_not_begun_is_let_go_of_at_once_and_stopped_when_it_wakes_up(stage: Stage) -> None:
    stage.asleep.add(PLUG)
    line = Answers(update_firmware=never, abort_firmware_update=never)
    async with stage.connected(line):
        stage.transfers.command(send())
        await until_asked(line, "update_firmware")
        await stage.transfers.stop(ONE)
        stage.transfers.command(Withdraw(update=ONE))
        stage.told.clear()
        stage.transfers.progressed(PLUG, progress(1))
        assert stage.told == []  # ours still, and nobody's news


@pytest.mark.asyncio
async def test_what_is_not_known_here_needs_no_stopping(stage: Stage) -> None:
    await stage.transfers.stop(UpdateId("unknown"))


# --- activation -----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
@pytest.mark.parametrize(("answer", "causes"), [(255, (Cause.RETURNED,)), (0, (Cause.LOST,)), (1, (Cause.LOST,))])
async def test_an_image_that_waits_is_activated_by_its_checksum(stage: Stage, answer: int, causes: tuple[Cause, ...]) -> None:
    line = Answers(update_firmware={"result": {"success": True, "status": 253}}, activateFirmware=answer)
    async with stage.connected(line):
        stage.transfers.command(send(target=1))
        assert (await stage.advanced()).causes == (Cause.ACCEPTED, Cause.TRANSFERRED, Cause.ACTIVATED)
        assert (await stage.advanced()).causes == causes
        (fields,) = await until_asked(line, "activateFirmware")
        if answer == 255:
            await until_asked(line, "refresh_info")  # the driver does not ask anew by itself
    (arguments,) = fields["args"]
    assert arguments == {"manufacturerId": 0x027A, "firmwareId": 0x2000, "checksum": _crc16(IMAGE), "firmwareTarget": 1, "hardwareVersion": 1}


@pytest.mark.asyncio
async def test_an_activation_that_is_not_answered_is_found_out_by_the_version(stage: Stage) -> None:
    line = Answers(update_firmware={"result": {"success": True, "status": 253}}, activateFirmware=CommandRefused(202, "no answer"))
    async with stage.connected(line):
        stage.transfers.command(send(hold_activation=True))
        assert (await stage.advanced()).causes == (Cause.ACCEPTED, Cause.TRANSFERRED)
        assert line.asked[-1][0] == "update_firmware"
        stage.transfers.command(Activate(update=ONE))
        await until_asked(line, "activateFirmware")
        assert [each for each in stage.told if isinstance(each, TransferAdvanced)] == []


def _crc16(data: bytes) -> int:
    value = 0x1D0F
    for byte in data:
        value ^= byte << 8
        for _ in range(8):
            value = (value << 1 ^ (0x1021 if value & 0x8000 else 0)) & 0xFFFF
    return value
