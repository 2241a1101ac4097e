"""After an update the driver asks the node everything anew: when it begins, when the node can be asked, and when nobody waits any more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from otagate.model.ids import RadioName, zwave_device_id
from otagate.model.portraits import Portrait
from otagate.ports import DeviceReturned, RadioEvent
from otagate.radios.zwave import ZwaveRadio, ZwaveSettings
from tests.radios.zwave_driver import HOME_ID, Answers, network, node_state
from tests.virtual_time import VirtualClock, instantly

NODE = zwave_device_id(HOME_ID, 2)
AWAKE = 2


class Line(Answers):
    """A driver with one node."""

    sentence = "a driver"

    def __init__(self, /, **state: Any) -> None:
        super().__init__(ping={"responded": False})
        self._network = network(node_state(**state))

    @property
    def controller(self) -> Any:
        return self._network


class Stage:
    """A radio that is up, and what it told."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.told: list[RadioEvent] = []
        self.radio: Any = ZwaveRadio(ZwaveSettings(name=RadioName("zwave0"), url="ws://nowhere"), emit=self.told.append, clock=VirtualClock())

    @asynccontextmanager
    async def up(self) -> AsyncIterator[Stage]:
        async with asyncio.TaskGroup() as group:
            self.radio._begin(self.line, group)
            self.told.clear()
            yield self

    def hears(self, event: str, **fields: Any) -> None:
        self.radio._heard({"source": "node", "event": event, "nodeId": 2} | fields)

    @property
    def returns(self) -> int:
        return sum(isinstance(each, DeviceReturned) for each in self.told)


@instantly
async def test_a_sleeping_node_is_pinged_before_the_driver_interviews_it_so_that_the_driver_knows_whether_it_sleeps() -> None:
    async with Stage(Line(isListening=False, status=AWAKE)).up() as stage:
        loop = asyncio.get_running_loop()
        stage.radio.rest(NODE, 7.0)
        began = loop.time()
        while not stage.line.asked:
            await asyncio.sleep(0.1)
        assert stage.line.asked == [("ping", {"nodeId": 2})]
        assert 4.0 < loop.time() - began < 6.5


@instantly
async def test_a_node_that_always_listens_is_left_alone_while_it_restarts() -> None:
    async with Stage(Line()).up() as stage:
        stage.radio.rest(NODE, 7.0)
        await asyncio.sleep(60)
        assert stage.line.asked == []


@instantly
async def test_an_updated_node_is_back_with_its_first_word_in_the_interview_and_not_only_at_the_end_of_it() -> None:
    async with Stage(Line()).up() as stage:
        stage.radio.rest(NODE, 7.0)
        stage.hears("interview stage completed", stageName="ProtocolInfo")
        assert stage.returns == 0
        stage.hears("interview stage completed", stageName="NodeInfo")
        assert stage.returns == 1
        stage.line.answers |= {"get": {"firmwareVersions": ["1.7"]}, "getMetaData": {"manufacturerId": 1, "firmwareId": 2}}
        assert (await stage.radio.interrogate(NODE)).components[0].version == "1.7"


@instantly
async def test_the_first_interview_of_a_node_is_no_return_of_it() -> None:
    async with Stage(Line()).up() as stage:
        stage.hears("interview stage completed", stageName="NodeInfo")
        assert stage.returns == 0


@instantly
async def test_settings_are_unknown_at_once_when_the_driver_gives_its_interview_up() -> None:
    async with Stage(Line()).up() as stage:
        stage.radio.rest(NODE, 7.0)
        async with asyncio.TaskGroup() as group:
            asked = group.create_task(stage.radio.portray(NODE))
            await asyncio.sleep(1)
            stage.hears("interview failed", args={"errorMessage": "Attempt 1/5 failed", "isFinal": False})
            await asyncio.sleep(1)
            assert not asked.done()
            stage.hears("interview failed", args={"errorMessage": "Maximum interview attempts reached", "isFinal": True})
            await asyncio.sleep(1)
            assert asked.done()
        assert asked.result() == Portrait()


@instantly
async def test_a_driver_that_cannot_be_asked_is_no_fault_of_the_hub() -> None:
    async with Stage(Line(isListening=False, status=AWAKE)).up() as stage:
        stage.radio._line = None  # the connection is lost meanwhile
        stage.radio.rest(NODE, 7.0)
        await asyncio.sleep(60)
        assert stage.line.asked == []
