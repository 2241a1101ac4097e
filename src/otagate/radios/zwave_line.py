"""The line to one zwave-js-server, for as long as it stands: the only module that knows the library that speaks with it.

The library keeps the driver's picture of its nodes; commands go out raw, because what is needed of firmware updates is not all in its methods, and
events are read raw before the library takes them, because an event that it does not know must not end the connection.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Self

import aiohttp
import structlog
from zwave_js_server.client import Client
from zwave_js_server.const import MAX_SERVER_SCHEMA_VERSION
from zwave_js_server.exceptions import (
    BaseZwaveJSServerError,
    CannotConnect,
    FailedCommand,
    FailedZWaveCommand,
    InvalidServerVersion,
)
from zwave_js_server.model.controller import Controller

from otagate.model.errors import RadioUnavailable

LOG = structlog.get_logger("otagate.radio")

SCHEMA = MAX_SERVER_SCHEMA_VERSION
"""What the library speaks: every server since 1.35 understands it."""

WITHIN = 20.0
"""Seconds that a question to the driver may take, where nothing else is said."""

_CONNECT_WITHIN = 15.0
_STATE_WITHIN = 120.0
_MOST_MESSAGE = 256 << 20  # the first one holds everything that the driver knows of all its nodes

_QUERY = re.compile(r"\?\S+")

Heard = Callable[[Mapping[str, Any]], None]


class CommandRefused(RadioUnavailable):
    """The driver, or the server before it, answered a command with an error; `number` is the driver's (`ZWaveErrorCodes`)."""

    def __init__(self, number: int | None, text: str) -> None:
        super().__init__(text)
        self.number = number
        self.text = text


class _Tapped(Client):
    """The library's client. It sees an event after us, and what it cannot digest is its own affair."""

    heard: Heard

    def _handle_incoming_message(self, msg: dict[str, Any]) -> None:
        if msg.get("type") != "event":
            super()._handle_incoming_message(msg)
            return
        event = dict(msg.get("event") or {})  # the library writes into what it is given
        try:
            super()._handle_incoming_message(msg)
        except (KeyError, TypeError, ValueError, AttributeError, BaseZwaveJSServerError) as error:
            LOG.debug("event that the library does not know", kind=str(event.get("event"))[:80], error=str(error)[:200])
        self.heard(event)


class _Bounded:
    """The session that the library connects with: it names no bound for a message."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def ws_connect(self, url: str, **options: Any) -> aiohttp.ClientWebSocketResponse:
        options["max_msg_size"] = _MOST_MESSAGE
        line: aiohttp.ClientWebSocketResponse = await self._session.ws_connect(url, **options)
        return line


class ZwaveLine:
    """One connection. Use it as an async context manager; then `listen`, until it is lost."""

    def __init__(self, url: str, heard: Heard) -> None:
        self._url = url
        self.where = url.partition("?")[0]
        """The address as it may be told: behind the ? may be what opens a proxy."""
        self._heard = heard
        self._session: aiohttp.ClientSession | None = None
        self._client: _Tapped | None = None
        self._ready = asyncio.Event()

    async def __aenter__(self) -> Self:
        """Connect. Raises RadioUnavailable with a sentence that says what is wrong, and which versions would fit."""
        self._session = aiohttp.ClientSession()
        self._client = _Tapped(self._url, _Bounded(self._session))  # type: ignore[arg-type]
        self._client.heard = self._heard
        try:
            async with asyncio.timeout(_CONNECT_WITHIN):
                await self._client.connect()
        except InvalidServerVersion:
            sentence = self._misfit(self._client)
            await self.close()
            raise RadioUnavailable(sentence) from None
        except (CannotConnect, BaseZwaveJSServerError, OSError, TimeoutError, ValueError, KeyError, TypeError) as error:
            await self.close()
            raise RadioUnavailable(self._unreachable(error)) from error
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it."""
        await self.close()

    async def close(self) -> None:
        """Let go of everything; idempotent."""
        client, self._client = self._client, None
        session, self._session = self._session, None
        if client is not None and client.driver is None:
            with suppress(BaseZwaveJSServerError):
                await client.disconnect()
        if session is not None:
            await session.close()

    def _misfit(self, client: Client) -> str:
        version = client.version
        lowest, highest = (0, 0) if version is None else (version.min_schema_version, version.max_schema_version)
        told = "" if version is None else f" {version.server_version}"
        if lowest > SCHEMA:
            return (
                f"{self.where}: zwave-js-server{told} speaks schema {lowest} to {highest}, and this hub speaks {SCHEMA}: "
                "use a zwave-js-server that still speaks it, as 1.35 to 3.10 do, or a newer otagate"
            )
        return f"{self.where}: zwave-js-server{told} speaks schema {highest} at most, and {SCHEMA} is needed: use zwave-js-server 1.35 or newer"

    def _unreachable(self, error: Exception) -> str:
        if isinstance(error, TimeoutError):
            return f"{self.where}: nothing that speaks zwave-js-server answers there"
        if isinstance(error, CannotConnect) and isinstance(error.error, aiohttp.ClientConnectorError):
            return f"{self.where}: no zwave-js-server listens there ({os.strerror(error.error.errno or 0)})"
        return f"{self.where}: what answers there is no zwave-js-server ({_told(error)})"

    # --- standing -----------------------------------------------------------------------------------------------------------------------

    async def listen(self) -> None:
        """Read until the connection is lost. Raises RadioUnavailable."""
        client = self._standing()
        try:
            await client.listen(self._ready)
        except (BaseZwaveJSServerError, OSError, aiohttp.ClientError) as error:
            raise RadioUnavailable(f"{self.where}: the connection failed: {_told(error)}") from error
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise RadioUnavailable(f"{self.where}: the server told what cannot be understood: {type(error).__name__} {_told(error)}") from error
        raise RadioUnavailable(f"{self.where}: the server closed the connection")

    async def ready(self) -> None:
        """Wait until everything that the driver knows has arrived. Raises RadioUnavailable."""
        try:
            async with asyncio.timeout(_STATE_WITHIN):
                await self._ready.wait()
        except TimeoutError:
            raise RadioUnavailable(f"{self.where}: the server did not tell what its driver knows within {_STATE_WITHIN:.0f} s") from None

    @property
    def controller(self) -> Controller:
        """The driver's picture of its network. Raises RadioUnavailable."""
        driver = self._standing().driver
        if driver is None:
            raise RadioUnavailable(f"{self.where}: not connected")
        return driver.controller

    @property
    def sentence(self) -> str:
        """Who answers there."""
        version = self._standing().version
        return "" if version is None else f"zwave-js {version.driver_version}, server {version.server_version}"

    @property
    def highest_schema(self) -> int:
        """The highest schema that the server speaks, whatever was agreed on: it tells the server's generation."""
        version = self._standing().version
        return SCHEMA if version is None else version.max_schema_version

    async def command(self, command: str, *, within: float | None = WITHIN, **fields: Any) -> dict[str, Any]:
        """Send one raw command and wait for its result. Raises CommandRefused, and RadioUnavailable where no answer came in time or at all."""
        client = self._standing()
        try:
            async with asyncio.timeout(within):
                return await client.async_send_command({"command": command, **fields}) or {}
        except FailedZWaveCommand as error:
            raise CommandRefused(error.zwave_error_code, error.zwave_error_message) from None
        except FailedCommand as error:
            raise CommandRefused(None, str(error)) from None
        except TimeoutError:
            raise RadioUnavailable(f"{self.where}: no answer to {command} within {within:.0f} s") from None
        except (BaseZwaveJSServerError, OSError, aiohttp.ClientError) as error:
            raise RadioUnavailable(f"{self.where}: {command} could not be sent: {_told(error)}") from error
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            # The library cancels what waits for an answer when the connection is lost.
            raise RadioUnavailable(f"{self.where}: the connection was lost before {command} was answered") from None

    def _standing(self) -> _Tapped:
        if self._client is None:
            raise RadioUnavailable(f"{self.where}: not connected")
        return self._client


def _told(error: Exception) -> str:
    """What a library says, without what stands behind the ? of an address in it."""
    return _QUERY.sub("?***", str(error))[:200] or type(error).__name__
