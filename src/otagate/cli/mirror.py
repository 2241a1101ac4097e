"""Commands about the mirror: what policy allows, for programs that read an index and know nothing of policy."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from otagate.cli.session import Session, command
from otagate.cli.stops import Exit, Stop

if TYPE_CHECKING:
    from otagate.cli.client import Client

_LISTEN = re.compile(r"(?P<host>\[[0-9a-fA-F:.%]+\]|[^\s:/\[\]]+):(?P<port>[0-9]{1,5})")
_ADDRESS = re.compile(r"https?://[^\s/?#@]+(/[^\s?#]*)?")

group = typer.Typer(help="Offer other programs the firmware that policy allows.")
app = typer.Typer()
app.add_typer(group, name="mirror")


@command(group)
async def serve(
    session: Session,
    address: Annotated[str, typer.Option(metavar="URL", help="Where other programs reach this mirror, as in http://hub.local:8380.")],
    listen: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where to listen.")] = "127.0.0.1:8380",
) -> Exit:
    """Serve the releases that policy allows, as indexes of zigbee2mqtt and zigpy, until it is stopped.

    Nobody is asked who he is: listen where only those programs are. What policy takes back is gone within half a minute.
    """
    from otagate.mirror.dialects import DIALECTS
    from otagate.mirror.server import Mirror, serving  # with a web server, which no other command needs

    host, port = _parsed(listen)
    if not _ADDRESS.fullmatch(address):
        raise Stop(f"--address: {address!r} is no address of a web server: give one like http://hub.local:8380", Exit.USAGE)
    mirror = Mirror(hub=_Hub(session.client), address=address.rstrip("/"))
    await session.client.get("images", query={"limit": 1})  # a daemon that cannot be reached, or wants a token, is told at once
    try:
        async with serving(mirror, host=host, port=port) as bound:
            indexes = {dialect: f"{mirror.address}/{dialect}/index.json" for dialect in DIALECTS}
            session.tell({"listening": bound, **indexes})
            session.say(f"listening on {bound}")
            session.say(f"zigbee2mqtt: ota.zigbee_ota_override_index_location: {indexes['zigbee2mqtt']}")
            session.say(f"ZHA: a provider of type zigpy_remote with the url {indexes['zigpy']}")
            await asyncio.Event().wait()
    except OSError as error:
        raise Stop(f"cannot listen on {listen}: {error.strerror or error}", Exit.FAILED) from None
    return Exit.DONE


def _parsed(listen: str) -> tuple[str, int]:
    found = _LISTEN.fullmatch(listen)
    if found is None or int(found["port"]) > 65_535:
        raise Stop(f"--listen: {listen!r} is not HOST:PORT", Exit.USAGE)
    return found["host"].strip("[]"), int(found["port"])


class _Hub:
    """The daemon's API, as the mirror asks it."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def documents(self, kind: str) -> list[dict[str, Any]]:
        with _away():
            return await self._client.items(kind, query={})

    async def releases(self, device: str) -> list[dict[str, Any]]:
        with _away():
            return await self._client.items("devices", device, "releases")

    async def content(self, sha256: str) -> AsyncIterator[bytes]:
        with _away():
            async for chunk in self._client.stream("images", sha256, "content", query={}):
                yield chunk


@contextmanager
def _away() -> Iterator[None]:
    from otagate.mirror.server import Unreachable

    try:
        yield
    except Stop as stop:
        raise Unreachable(str(stop)) from None
