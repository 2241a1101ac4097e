"""Kill a process that commits in a loop, at random instants, and look at what it leaves. Run as a program: DIRECTORY ROUNDS SEED.

Every round forks a writer that opens the store and acknowledges each commit on a pipe; SIGKILL ends it at a random instant, which may lie
before the store is open. One transaction writes one fact, one update and one setting that carry the same number, so a torn one shows. Prints
one JSON object: rounds, commits, and the sins found.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from otagate.model.facts import Fact
from otagate.model.ids import ComponentId, DeviceId, RadioName, UpdateId
from otagate.model.lifecycle import State
from otagate.model.updates import Update
from otagate.stores import open_store

URL = "sqlite:///otagate.db"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def an_update(number: int) -> Update:
    return Update(
        id=UpdateId("u"),
        device=DeviceId("zigbee-000d6f000a9069e7"),
        component=ComponentId("0x1409"),
        radio=RadioName("zigbee0"),
        manufacturer_code=0x1189,
        image_type=0x1409,
        from_version=1,
        to_version=2,
        source="directory",
        image=None,
        state=State.TRANSFERRING,
        bytes_total=1 << 40,
        bytes_sent=number,
        created=NOW,
    )


async def write_for_ever(directory: Path, pipe: int) -> None:
    async with open_store(URL, directory) as store:
        while True:
            async with store.transaction():
                fact = await store.facts.append(Fact(at=NOW, subject="update", subject_id="u", kind="progress", data={"padding": "x" * 500}))
                await store.updates.put(an_update(fact.number))
                await store.settings.put("last", str(fact.number))
            os.write(pipe, b"%d\n" % fact.number)


async def examine(directory: Path, acknowledged: int) -> tuple[int, list[str]]:
    sins = []
    async with open_store(URL, directory) as store:
        last = await store.facts.last_number()
        if last < acknowledged:
            sins.append(f"acknowledged {acknowledged}, and found {last}")
        numbers: list[int] = []
        while page := await store.facts.after(numbers[-1] if numbers else max(0, last - 2000), limit=500):
            numbers += [each.number for each in page]
        if numbers != list(range(max(0, last - 2000) + 1, last + 1)):
            sins.append(f"a gap or a double among the last {len(numbers)} facts")
        if last:
            update, setting = await store.updates.get(UpdateId("u")), await store.settings.get("last")
            if (update.bytes_sent, setting) != (last, str(last)):
                sins.append(f"torn: fact {last}, update {update.bytes_sent}, setting {setting}")
    return last, sins


def one_round(directory: Path, chance: random.Random) -> int:
    """The last number that the killed writer acknowledged, or 0."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            asyncio.run(write_for_ever(directory, writing))
        finally:
            os._exit(3)  # a writer that ends by itself has failed
    os.close(writing)
    if chance.random() < 0.8:
        os.set_blocking(reading, True)
        head = os.read(reading, 1)  # most rounds die in the loop, some while the store is being opened
    else:
        head = b""
    time.sleep(chance.uniform(0, 0.02))
    os.kill(child, signal.SIGKILL)
    text = head
    while piece := os.read(reading, 65536):
        text += piece
    os.close(reading)
    status = os.waitpid(child, 0)[1]
    if not os.WIFSIGNALED(status):
        raise SystemExit("the writer ended by itself")
    whole = text.rpartition(b"\n")[0].split()
    return int(whole[-1]) if whole else 0


def main(directory: Path, rounds: int, seed: int) -> None:
    chance = random.Random(seed)
    last = 0
    sins: list[str] = []
    for number in range(rounds):
        acknowledged = max(one_round(directory, chance), last)
        last, found = asyncio.run(examine(directory, acknowledged))
        sins += [f"round {number}: {each}" for each in found]
    json.dump({"rounds": rounds, "committed": last, "sins": sins}, sys.stdout)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
