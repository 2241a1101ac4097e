"""A copy of a network: whole enough to restore, for its owner's eyes alone, taken while devices are being updated."""

from __future__ import annotations

import asyncio
import hashlib
import json
import stat
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest
from zigpy.backups import NetworkBackup

from otagate.model.errors import RadioUnavailable
from otagate.model.ids import RadioName
from otagate.radios import backup as backups
from otagate_rig.rig import Stack
from tests.journeys.hub import IEEE, RADIO, Journey, assert_updated, ended, image_of, journey, reached, told

STACKS = pytest.mark.parametrize("stack", ["znp", "ezsp"])


async def _ask(run: Journey, token: str) -> tuple[int, str]:
    url = f"{run.hub.server.addresses[0]}/api/v1/radios/{RADIO}/backup"
    async with aiohttp.ClientSession() as client, client.post(url, headers={"Authorization": f"Bearer {token}"}) as response:
        return response.status, await response.text()


@pytest.mark.asyncio
@STACKS
async def test_a_copy_taken_in_mid_transfer_restores_the_network_and_disturbs_nobody(tmp_path: Path, stack: Stack) -> None:
    image = image_of(30_000)
    async with journey(tmp_path, images=[image], stack=stack) as run:
        device = run.device(IEEE)
        update = await run.order()
        await reached(device, 0.2)
        status, text = await _ask(run, (tmp_path / "state" / "api-token").read_text().strip())
        await ended(run.desk, update)
        assert_updated(device, image)
        assert status == 201, text
        answer = json.loads(text)
        file = Path(answer["path"])
        assert file.parent == tmp_path / "state" / "backups"
        assert (stat.S_IMODE(file.stat().st_mode), stat.S_IMODE(file.parent.stat().st_mode)) == (0o600, 0o700)
        data = file.read_bytes()
        assert (hashlib.sha256(data).hexdigest(), len(data)) == (answer["sha256"], answer["bytes"])
        network = run.rig.ncp.network
        assert network is not None
        restored = NetworkBackup.from_open_coordinator_json(json.loads(data))
        assert restored.is_complete()
        assert bytes(restored.network_info.network_key.key.serialize()) == network.network_key
        assert (restored.network_info.channel, restored.network_info.pan_id) == (network.channel, network.pan_id)
        facts = [fact async for fact in _stored(run)]
        assert [(fact.subject_id, fact.actor) for fact in facts if fact.kind == "backed_up"] == [(RADIO, "token:admin")]
        for secret in (network.network_key.hex(), ":".join(f"{each:02x}" for each in network.network_key)):
            assert secret in json.dumps(json.loads(data)).lower() or ":" in secret
            assert secret not in text.lower()
            assert all(secret not in str(fact.data).lower() for fact in facts)


async def _stored(run: Journey):  # type: ignore[no-untyped-def]
    for fact in await run.hub.store.facts.after(0, limit=5_000):
        yield fact


@pytest.mark.asyncio
@STACKS
async def test_a_radio_that_is_not_up_cannot_be_copied(tmp_path: Path, stack: Stack) -> None:
    async with journey(tmp_path, stack=stack) as run:
        run.rig.port.unplug()
        async with asyncio.timeout(60):
            while run.desk.radios()[0].state == "up":
                await asyncio.sleep(0.05)
        with pytest.raises(RadioUnavailable):
            await run.desk.back_up(RADIO, actor="test")
    assert not (tmp_path / "state" / "backups").exists()


@pytest.mark.asyncio
@STACKS
async def test_copies_are_told_apart_and_only_the_newest_are_kept(tmp_path: Path, stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backups, "KEPT", 3)
    async with journey(tmp_path, stack=stack) as run:
        await told(run.desk)
        made = [(await run.desk.back_up(RADIO, actor="test")).path for _ in range(5)]
    kept = sorted((tmp_path / "state" / "backups").iterdir())
    assert len(set(made)) == 5
    assert sorted(made[-3:]) == kept


class _Mute:
    """A coordinator that tells nothing of its network, in place of one that a rig cannot make: zigpy's own object with its defaults."""

    def __init__(self, backup: NetworkBackup) -> None:
        self.backups = self
        self._backup = backup

    async def create_backup(self, *, load_devices: bool) -> NetworkBackup:
        return replace(self._backup)


@pytest.mark.asyncio
async def test_half_a_network_is_no_copy(tmp_path: Path) -> None:
    with pytest.raises(RadioUnavailable, match="did not tell all"):
        await backups.back_up(_Mute(NetworkBackup()), tmp_path / "b", radio=RadioName(RADIO), now=datetime(2026, 1, 1, tzinfo=UTC))  # type: ignore[arg-type]
    assert not (tmp_path / "b").exists()
