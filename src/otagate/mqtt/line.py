"""One connection to an MQTT broker, in MQTT 5; who keeps it alive is `engine.supervise`.

Nothing is queued here for a broker that is away: who speaks says everything anew when the line is up again.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import aiomqtt
import structlog
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from otagate.model.errors import BrokerUnavailable
from otagate.ports import Listener, Message, Wanted

LOG = structlog.get_logger("otagate.mqtt")

MAX_PACKET = 64 << 10
"""Bytes: the broker is told to send us no larger message (MQTT 5, 3.1.2.11.4)."""

MAX_WAITING = 1_000
"""Messages that wait to be looked at: each is looked at at once, so more of them is a flood."""

KEEP_ALIVE = 30
"""Seconds without a sign of life after which the broker tells everybody that we are gone."""

PATIENCE = 5.0
"""Seconds for the broker's answer to anything."""

ONLINE, OFFLINE = b"online", b"offline"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where the broker is and who we are to it. `ca_file`: whose certificates count, where not those that the machine knows."""

    host: str
    port: int
    tls: bool = False
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: Path | None = None

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class Line:
    """Implements `ports.Broker`. `status` is the topic where the broker keeps whether we are there, by our last will; without it nobody is told.

    `largest`: bytes of a message that the broker may send us.
    """

    def __init__(self, address: Address, *, status: str | None, patience: float = PATIENCE, largest: int = MAX_PACKET) -> None:
        self._address = address
        self._status = status
        self._largest = largest
        self._subscribed: set[Wanted] = set()
        self._patience = patience
        self._listeners: list[Listener] = []
        self._client: aiomqtt.Client | None = None
        self._waits: set[asyncio.Timeout] = set()
        self._log = logging.getLogger("otagate.mqtt.library")
        self._log.setLevel(logging.CRITICAL)  # a flood must not become one of our log; what matters is raised
        self.trouble: str | None = "it has not been reached yet"

    def listen(self, listener: Listener) -> None:
        """See `ports.Broker.listen`."""
        self._listeners.append(listener)

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """See `ports.Broker.publish`."""
        if self._client is None:
            raise BrokerUnavailable(f"the MQTT broker: {self.trouble}")
        try:
            async with asyncio.timeout(None) as wait:
                self._waits.add(wait)
                await self._client.publish(topic, payload, qos=1, retain=retain)
        except TimeoutError as error:
            raise BrokerUnavailable(f"the MQTT broker: {self.trouble}") from error
        except (aiomqtt.MqttError, ValueError) as error:  # the latter for what MQTT has no room for
            raise BrokerUnavailable(f"the MQTT broker did not take a message: {error}") from error
        finally:
            self._waits.discard(wait)

    async def run(self) -> None:
        """One life: connect, serve until the connection is lost. Raises BrokerUnavailable with why it ended."""
        try:
            async with await self._made() as client:
                try:
                    await self._serve(client)
                finally:
                    self._lost("the connection was lost")
                    await self._part(client)
        except aiomqtt.MqttError as error:
            raise self._ended(_reason(error)) from error
        except (OSError, ValueError) as error:  # no file of authorities, no certificate that counts
            raise self._ended(f"no TLS connection: {error}") from error

    async def _made(self) -> aiomqtt.Client:
        address = self._address
        return aiomqtt.Client(
            address.host,
            address.port,
            username=address.username,
            password=address.password,
            identifier=f"otagate-{secrets.token_hex(6)}",
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=True,  # nothing is kept for us while we are away: an order of yesterday must not begin an update
            will=None if self._status is None else aiomqtt.Will(self._status, OFFLINE, qos=1, retain=True),
            properties=_connect_properties(self._largest),
            tls_context=await asyncio.to_thread(_trust, address.ca_file) if address.tls else None,
            keepalive=KEEP_ALIVE,
            timeout=self._patience,
            max_queued_incoming_messages=MAX_WAITING,
            logger=self._log,
        )

    async def _serve(self, client: aiomqtt.Client) -> None:
        self._subscribed.clear()
        await self._subscribe_all(client)
        if self._status is not None:
            await client.publish(self._status, ONLINE, qos=1, retain=True)
        self._client, self.trouble = client, None
        LOG.info("connected to the MQTT broker", broker=str(self._address))
        for listener in self._listeners:
            listener.up()
        async for message in client.messages:
            self._tell(message)

    async def widen(self) -> None:
        """Subscribe to what listeners want by now and did not when the line came up. Raises BrokerUnavailable."""
        if self._client is None:
            raise BrokerUnavailable(f"the MQTT broker: {self.trouble}")
        try:
            await self._subscribe_all(self._client)
        except aiomqtt.MqttError as error:
            raise BrokerUnavailable(f"the MQTT broker: {_reason(error)}") from error

    async def _subscribe_all(self, client: aiomqtt.Client) -> None:
        for wanted in dict.fromkeys(each for listener in self._listeners for each in listener.wanted):
            if wanted not in self._subscribed:
                await self._subscribe(client, wanted)
                self._subscribed.add(wanted)

    async def _subscribe(self, client: aiomqtt.Client, wanted: Wanted) -> None:
        options = SubscribeOptions(
            qos=1,
            noLocal=True,
            retainAsPublished=not wanted.kept,
            retainHandling=SubscribeOptions.RETAIN_SEND_ON_SUBSCRIBE if wanted.kept else SubscribeOptions.RETAIN_DO_NOT_SEND,
        )
        answers: Sequence[object] = await client.subscribe(wanted.filter, options=options)
        refused = [each for each in answers if getattr(each, "is_failure", False)]
        if refused and not wanted.optional:
            raise aiomqtt.MqttError(f"it does not let us listen to {wanted.filter}: {refused[0]}")

    def _tell(self, received: aiomqtt.Message) -> None:
        message = Message(topic=received.topic.value, payload=received.payload, retained=received.retain)
        for listener in self._listeners:
            if any(received.topic.matches(each.filter) for each in listener.wanted):
                listener.heard(message)

    def _lost(self, why: str) -> None:
        if self._client is None:
            return
        self._client, self.trouble = None, why
        waits, self._waits = self._waits, set()
        for wait in waits:
            wait.reschedule(asyncio.get_running_loop().time())  # what was not taken by this connection will not be any more
        for listener in self._listeners:
            listener.down()

    async def _part(self, client: aiomqtt.Client) -> None:
        """Say goodbye, where that is still heard: who leaves in peace has no last will."""
        if self._status is None:
            return
        try:
            async with asyncio.timeout(1):
                await client.publish(self._status, OFFLINE, qos=1, retain=True)
        except (aiomqtt.MqttError, TimeoutError):
            LOG.debug("the broker was gone before us")

    def _ended(self, why: str) -> BrokerUnavailable:
        self.trouble = why
        return BrokerUnavailable(f"the MQTT broker at {self._address}: {why}")


def _connect_properties(largest: int) -> Properties:
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.MaximumPacketSize = largest
    return properties


def _trust(ca_file: Path | None) -> ssl.SSLContext:
    if ca_file is None:
        return ssl.create_default_context()
    context = ssl.create_default_context(cafile=str(ca_file))
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # since Python 3.13 by default: whom the operator names need not write by the book
    return context


def _reason(error: aiomqtt.MqttError) -> str:
    """What the library says, in one line; it hides below its own error what TLS says."""
    below = error.__cause__ or error.__context__
    if isinstance(below, ssl.SSLCertVerificationError):
        return f"no TLS connection, because its certificate does not count: {below.verify_message}"
    if isinstance(below, ssl.SSLError):
        return f"no TLS connection: {below.reason}"
    told = str(error).strip() or "the connection was lost"
    return " ".join(told.split())[:200]
