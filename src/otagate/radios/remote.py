"""Radios that another program drives, or a cloud: it pairs, keeps the network and carries updates out; we ask it to."""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

from otagate.model.errors import NotOnThisRadio
from otagate.model.ids import RadioName, UpdateId
from otagate.model.orders import Order
from otagate.ports import Emit, RadioBackup, RadioChanged, RadioState


class Transfers(Protocol):
    """The sessions of such a radio; they live as long as it does, not as long as a connection."""

    def command(self, order: Order) -> None:
        """See `ports.Radio.command`."""

    def committed(self, token: int) -> None:
        """See `ports.Radio.committed`."""

    async def stop(self, update: UpdateId) -> None:
        """See `ports.Radio.stop`."""


T = TypeVar("T", bound=Transfers)


class NetworkElsewhere:
    """Implements `ports.Network` by saying where that is done: `elsewhere` is a sentence."""

    def __init__(self, elsewhere: str) -> None:
        self._elsewhere = elsewhere

    async def permit_joining(self, seconds: int) -> None:
        """See `ports.Network.permit_joining`. Raises NotOnThisRadio."""
        del seconds
        raise NotOnThisRadio(self._elsewhere)

    async def back_up(self) -> RadioBackup:
        """See `ports.Network.back_up`. Raises NotOnThisRadio."""
        raise NotOnThisRadio(self._elsewhere)


class RemoteRadio(NetworkElsewhere, Generic[T]):
    """What is the same of `ports.Radio` whichever program is asked."""

    def __init__(self, name: RadioName, *, transfers: T, emit: Emit, elsewhere: str) -> None:
        super().__init__(elsewhere)
        self._name = name
        self._transfers = transfers
        self._emit = emit

    @property
    def name(self) -> RadioName:
        """The name in the configuration."""
        return self._name

    @property
    def pauses(self) -> bool:
        """None of these programs knows a pause."""
        return False

    def command(self, order: Order) -> None:
        """See `ports.Radio.command`."""
        self._transfers.command(order)

    def committed(self, token: int) -> None:
        """See `ports.Radio.committed`."""
        self._transfers.committed(token)

    async def stop(self, update: UpdateId) -> None:
        """See `ports.Radio.stop`."""
        await self._transfers.stop(update)

    def _tell(self, state: RadioState, sentence: str) -> None:
        self._emit(RadioChanged(radio=self._name, state=state, sentence=sentence))
