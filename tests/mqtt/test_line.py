"""The line to a real broker: what it says of itself, what it lets in, and how it comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import cast

import aiomqtt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from otagate.engine.supervise import Backoff, outcome, supervise_line
from otagate.engine.timers import SystemClock
from otagate.model.errors import BrokerUnavailable
from otagate.mqtt.line import MAX_PACKET, Address, Line
from otagate.ports import Message, Wanted
from tests.mqtt.mosquitto import Mosquitto, ear, free_port, needs_mosquitto

pytestmark = [pytest.mark.asyncio, needs_mosquitto]

STATUS = "otagate/status"
QUICK = Backoff(first=0.05, most=0.1)
WITHIN = 60.0


class Noting:
    """Listens, and notes what it is told."""

    def __init__(self, *wanted: Wanted) -> None:
        self.wanted: Sequence[Wanted] = wanted
        self.lives: list[str] = []
        self.messages: list[Message] = []
        self._bell = asyncio.Event()

    def up(self) -> None:
        self._note("up")

    def down(self) -> None:
        self._note("down")

    def heard(self, message: Message) -> None:
        self.messages.append(message)
        self._bell.set()

    def _note(self, what: str) -> None:
        self.lives.append(what)
        self._bell.set()

    async def lives_are(self, *lives: str) -> None:
        await self._until(lambda: tuple(self.lives) == lives)

    async def hears(self, count: int) -> list[Message]:
        await self._until(lambda: len(self.messages) >= count)
        return self.messages

    async def _until(self, fits: object) -> None:
        assert callable(fits)
        async with asyncio.timeout(WITHIN):
            while not fits():
                self._bell.clear()
                await self._bell.wait()


@asynccontextmanager
async def alive(line: Line) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(supervise_line(line.run, clock=SystemClock(), backoff=QUICK))
        try:
            yield
        finally:
            task.cancel()


def line_to(port: int, listener: Noting | None = None, **more: str) -> Line:
    line = Line(Address(host="127.0.0.1", port=port, username=more.get("username"), password=more.get("password")), status=STATUS)
    if listener is not None:
        line.listen(listener)
    return line


async def test_it_says_that_it_is_there_and_says_goodbye(tmp_path: Path) -> None:
    async with Mosquitto(tmp_path) as broker, ear(broker) as world:
        async with alive(line_to(broker.port)):
            assert await world.says(STATUS) == "online"
        assert await world.says(STATUS, lambda said: said != "online") == "offline"


async def test_one_that_dies_is_told_to_be_gone_by_its_last_will(tmp_path: Path) -> None:
    async with Mosquitto(tmp_path) as broker, ear(broker) as world:
        line = line_to(broker.port)
        async with alive(line):
            await world.says(STATUS)
            client = line._client
            assert client is not None
            client._client._sock_close()  # the connection is cut: no word of goodbye
            await world.says(STATUS, lambda said: said == "offline")


async def test_it_comes_back_by_itself_when_the_broker_does(tmp_path: Path) -> None:
    broker, listener = Mosquitto(tmp_path), Noting()
    line = line_to(broker.port, listener)
    async with alive(line):
        assert line.trouble is not None
        async with broker:
            await listener.lives_are("up")
            assert line.trouble is None
            await broker.kill()
            await listener.lives_are("up", "down")
            assert line.trouble is not None
            with pytest.raises(BrokerUnavailable):
                await line.publish("somewhere", b"lost")
            await broker.start()
            await listener.lives_are("up", "down", "up")


async def test_what_a_broker_has_not_taken_when_the_line_is_lost_is_refused_then_and_not_later(tmp_path: Path) -> None:
    listener = Noting()
    line = Line(Address(host="127.0.0.1", port=0), status=STATUS, patience=600)
    async with Mosquitto(tmp_path) as broker:
        line._address = Address(host="127.0.0.1", port=broker.port)
        line.listen(listener)
        async with alive(line):
            await listener.lives_are("up")
            broker.freeze()
            async with asyncio.TaskGroup() as group, asyncio.timeout(WITHIN):
                saying = group.create_task(outcome(line.publish("somewhere", b"something"), what="a message"))
                await asyncio.sleep(0)
                await broker.kill()
                await listener.lives_are("up", "down")
                assert isinstance(await saying, BrokerUnavailable)


async def test_an_order_that_the_broker_kept_is_not_told_and_one_that_it_is_to_keep_is_told_to_be_so(tmp_path: Path) -> None:
    listener = Noting(Wanted(filter="orders/+"))
    async with Mosquitto(tmp_path) as broker, ear(broker, "nothing") as world:
        await world.say("orders/old", "from yesterday", retain=True)
        async with alive(line_to(broker.port, listener)):
            await listener.lives_are("up")
            await world.say("orders/kept", "now", retain=True)
            await world.say("orders/new", "now")
            heard = await listener.hears(2)
    assert heard == [Message(topic="orders/kept", payload=b"now", retained=True), Message(topic="orders/new", payload=b"now")]


async def test_what_is_kept_is_told_where_that_is_wanted_and_what_we_say_ourselves_is_not(tmp_path: Path) -> None:
    listener = Noting(Wanted(filter="kept/#", kept=True))
    async with Mosquitto(tmp_path) as broker, ear(broker) as world:
        await world.say("kept/a/b", "before", retain=True)
        line = line_to(broker.port, listener)
        async with alive(line):
            await listener.hears(1)
            await line.publish("kept/own", b"ours", retain=True)
            await world.says("kept/own")
            await world.say("kept/c", "later")
            heard = await listener.hears(2)
    assert heard == [Message(topic="kept/a/b", payload=b"before", retained=True), Message(topic="kept/c", payload=b"later")]


async def test_what_could_not_be_listened_to_at_once_is_when_it_is_asked_for_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    early, late = Noting(Wanted(filter="a/b")), Noting(Wanted(filter="c/d"))
    async with Mosquitto(tmp_path) as broker, ear(broker) as world:
        line = line_to(broker.port, early)
        async with alive(line):
            await early.lives_are("up")
            line.listen(late)
            with monkeypatch.context() as patched:
                patched.setattr(aiomqtt.Client, "subscribe", _unanswered)
                with pytest.raises(BrokerUnavailable):
                    await line.widen()
            await line.widen()
            await world.say("c/d", "hello")
            assert [each.payload for each in await late.hears(1)] == [b"hello"]


async def _unanswered(*_: object, **__: object) -> None:
    raise aiomqtt.MqttError("Operation timed out")


async def test_a_message_of_any_size_never_reaches_us_whole(tmp_path: Path) -> None:
    listener = Noting(Wanted(filter="big"))
    async with Mosquitto(tmp_path) as broker, ear(broker, "nothing") as world, alive(line_to(broker.port, listener)):
        await listener.lives_are("up")
        await world.say("big", b"x" * MAX_PACKET)
        await world.say("big", b"small")
        assert [len(each.payload) for each in await listener.hears(1)] == [5]


async def test_only_topics_that_a_listener_can_do_without_may_be_refused() -> None:
    class Refusing:
        """Stands in for a broker whose rules forbid to listen; mosquitto's own forbid only to hear."""

        async def subscribe(self, *_: object, **__: object) -> list[ReasonCode]:
            return [ReasonCode(PacketTypes.SUBACK, "Not authorized")]  # type: ignore[no-untyped-call]

    line, client = line_to(1), cast("aiomqtt.Client", Refusing())
    await line._subscribe(client, Wanted(filter="a", kept=True, optional=True))
    with pytest.raises(aiomqtt.MqttError, match="it does not let us listen to a: Not authorized"):
        await line._subscribe(client, Wanted(filter="a", kept=True))


async def test_a_broker_that_does_not_know_us_is_named_with_its_reason_and_never_the_password(tmp_path: Path) -> None:
    async with Mosquitto(tmp_path, lines="allow_anonymous false") as broker:
        line = line_to(broker.port, username="hub", password="hunter2-hunter2")
        with pytest.raises(BrokerUnavailable) as refused:
            await line.run()
    assert f"127.0.0.1:{broker.port}" in str(refused.value)
    assert "Not authorized" in str(refused.value)
    assert "hunter2" not in str(refused.value) + repr(line._address)


async def test_where_nobody_listens_the_line_says_so() -> None:
    port = free_port()
    with pytest.raises(BrokerUnavailable, match=f"127.0.0.1:{port}"):
        await line_to(port).run()


# --- TLS ---------------------------------------------------------------------------------------------------------------------------------


def authority(name: str) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """A certificate authority of the tests' own, home-made: it names no keys, as RFC 5280 and Python 3.13 by themselves want it."""
    key, subject = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    return issued(subject, key, subject, key, x509.BasicConstraints(ca=True, path_length=0)), key


def issued(
    subject: x509.Name, key: ec.EllipticCurvePrivateKey, issuer: x509.Name, signer: ec.EllipticCurvePrivateKey, *extensions: x509.ExtensionType
) -> x509.Certificate:
    now = SystemClock().now()
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key()).serial_number(1)
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    for each in extensions:
        builder = builder.add_extension(each, critical=True)
    return builder.sign(signer, hashes.SHA256())


def lines_of_tls(folder: Path, host: str) -> tuple[str, Path]:
    """What makes a mosquitto speak TLS under this name, and the file of the authority that vouches for it."""
    (root, signer), key = authority("the tests"), ec.generate_private_key(ec.SECP256R1())
    named = x509.IPAddress(ip_address(host)) if host[0].isdigit() else x509.DNSName(host)
    server = issued(x509.Name([]), key, root.subject, signer, x509.SubjectAlternativeName([named]))
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    files = {"ca.pem": root.public_bytes(pem), "server.pem": server.public_bytes(pem), "server.key": private}
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return f"allow_anonymous true\ncertfile {folder}/server.pem\nkeyfile {folder}/server.key", folder / "ca.pem"


async def test_an_encrypted_line_counts_only_the_authority_that_was_named_and_only_the_name_of_the_broker(tmp_path: Path) -> None:
    lines, ca_file = lines_of_tls(tmp_path, "127.0.0.1")
    async with Mosquitto(tmp_path, lines=lines) as broker:
        listener = Noting()
        line = Line(Address(host="127.0.0.1", port=broker.port, tls=True, ca_file=ca_file), status=STATUS)
        line.listen(listener)
        async with alive(line):
            await listener.lives_are("up")
            await line.publish("somewhere", b"something")
        for wrong in (
            Address(host="127.0.0.1", port=broker.port, tls=True),  # whom no authority of the machine knows
            Address(host="localhost", port=broker.port, tls=True, ca_file=ca_file),  # which the certificate does not name
            Address(host="127.0.0.1", port=broker.port, tls=True, ca_file=tmp_path / "none.pem"),
        ):
            with pytest.raises(BrokerUnavailable, match="no TLS connection"):
                await Line(wrong, status=STATUS).run()
        with pytest.raises(BrokerUnavailable):
            await Line(Address(host="127.0.0.1", port=broker.port), status=STATUS, patience=0.5).run()  # in clear text
