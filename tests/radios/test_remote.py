"""What is the same of radios that other programs drive."""

from __future__ import annotations

import pytest

from otagate.model.errors import NotOnThisRadio
from otagate.model.ids import RadioName, UpdateId
from otagate.model.orders import Order, Resume
from otagate.ports import RadioEvent
from otagate.radios.remote import RemoteRadio


class _Sessions:
    """Stands for the sessions of one program, and writes down what reaches them."""

    def __init__(self) -> None:
        self.heard: list[object] = []

    def command(self, order: Order) -> None:
        self.heard.append(order)

    def committed(self, token: int) -> None:
        self.heard.append(token)

    async def stop(self, update: UpdateId) -> None:
        self.heard.append(("stop", update))


def a_radio(sessions: _Sessions) -> RemoteRadio[_Sessions]:
    told: list[RadioEvent] = []
    return RemoteRadio(RadioName("house"), transfers=sessions, emit=told.append, elsewhere="devices are paired there")


@pytest.mark.asyncio
async def test_what_is_ordered_stopped_and_committed_reaches_the_sessions() -> None:
    sessions, order = _Sessions(), Resume(update=UpdateId("u1"))
    radio = a_radio(sessions)
    radio.command(order)
    radio.committed(7)
    await radio.stop(UpdateId("u2"))
    assert sessions.heard == [order, 7, ("stop", "u2")]
    assert (radio.name, radio.pauses) == ("house", False)


@pytest.mark.asyncio
async def test_who_wants_to_pair_or_to_copy_here_is_told_where_that_is_done() -> None:
    radio = a_radio(_Sessions())
    with pytest.raises(NotOnThisRadio, match="devices are paired there"):
        await radio.permit_joining(60)
    with pytest.raises(NotOnThisRadio, match="devices are paired there"):
        await radio.back_up()
