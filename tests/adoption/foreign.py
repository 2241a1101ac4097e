"""Files as zigbee2mqtt writes them, and databases as every zigpy since 2020 did."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

from zigpy.appdb_schemas import SCHEMAS

COORDINATOR = 0x00124B0029A1C3D5
LAMP, PLUG, BUTTON = 0x000D6F000A9069E7, 0x000D6F000A9069E8, 0x000D6F000A9069E9
KEY = bytes(range(3, 19))
HEARD = 1_795_242_442_882  # milliseconds


def hexed(ieee: int) -> str:
    return f"0x{ieee:016x}"


def coloned(ieee: int) -> str:
    return ieee.to_bytes(8, "big").hex(":")


# --- zigbee2mqtt -----------------------------------------------------------------------------------------------------------------------


def coordinator(**changes: Any) -> dict[str, Any]:
    return {"id": 1, "type": "Coordinator", "ieeeAddr": hexed(COORDINATOR), "nwkAddr": 0, "epList": [1], "endpoints": {}} | changes


def endpoint(**changes: Any) -> dict[str, Any]:
    return {"profId": 260, "epId": 1, "devId": 257, "inClusterList": [0, 3, 6], "outClusterList": [25], "clusters": {}} | changes


def entry(ieee: int = LAMP, **changes: Any) -> dict[str, Any]:
    found = {
        "id": ieee & 0xFF,
        "type": "Router",
        "ieeeAddr": hexed(ieee),
        "nwkAddr": 0x1000 + (ieee & 0xFF),
        "manufId": 0x1189,
        "manufName": "Rig Works",
        "powerSource": "Mains (single phase)",
        "modelId": "Lamp",
        "epList": [1],
        "endpoints": {"1": endpoint()},
        "interviewCompleted": True,
        "interviewState": "SUCCESSFUL",
        "lastSeen": HEARD,
    }
    return {key: value for key, value in (found | changes).items() if value is not ...}


def button(**changes: Any) -> dict[str, Any]:
    power = {"genPowerCfg": {"attributes": {"batteryPercentageRemaining": 150}}}
    told = {"type": "EndDevice", "powerSource": "Battery", "modelId": "Button"}
    return entry(BUTTON, **told | {"endpoints": {"1": endpoint(inClusterList=[0, 1], clusters=power)}} | changes)


def group(number: int = 7, *members: int) -> dict[str, Any]:
    return {"id": 900 + number, "type": "Group", "groupID": number, "members": [{"deviceIeeeAddr": hexed(each), "endpointID": 1} for each in members]}


def lines(*entries: object) -> bytes:
    return "\n".join(json.dumps(each) for each in entries).encode()


def backup(**changes: Any) -> dict[str, Any]:
    return {
        "metadata": {"format": "zigpy/open-coordinator-backup", "version": 1, "source": "zigbee-herdsman@11.1.1"},
        "stack_specific": {"zstack": {"tclk_seed": "7b801d4ce5e905225fb64d3c01729c6a"}},
        "coordinator_ieee": f"{COORDINATOR:016x}",
        "pan_id": "1a62",
        "extended_pan_id": f"{COORDINATOR:016x}",
        "channel": 15,
        "network_key": {"key": KEY.hex(), "sequence_number": 0, "frame_counter": 12},
        "devices": [],
    } | changes


CONFIGURATION = f"""
advanced:
  pan_id: 6754
  network_key: {list(KEY)}
devices:
  '{hexed(LAMP)}': {{friendly_name: kitchen/lamp}}
  {hexed(PLUG)}: {{friendly_name: on}}
groups:
  '7': {{friendly_name: hall}}
"""


def write_zigbee2mqtt(
    folder: Path,
    *,
    database: bytes | None = None,
    configuration: str | bytes | None = CONFIGURATION,
    stored: dict[str, Any] | bytes | None = None,
    **files: str,
) -> Path:
    """A data folder; `stored` is the coordinator's backup, the usual one where None."""
    folder.mkdir(exist_ok=True)
    (folder / "database.db").write_bytes(lines(coordinator(), entry(), entry(PLUG), button(), group(7, LAMP)) if database is None else database)
    if configuration is not None:
        (folder / "configuration.yaml").write_bytes(configuration.encode() if isinstance(configuration, str) else configuration)
    kept = stored if isinstance(stored, bytes) else json.dumps(backup() if stored is None else stored).encode()
    if kept:
        (folder / "coordinator_backup.json").write_bytes(kept)
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)
    return folder


# --- zigpy -----------------------------------------------------------------------------------------------------------------------------

_DESCRIPTOR = bytes.fromhex("01408e8911520052000052" + "0000")  # a router of 0x1189
_FIELDS = (1, 0, 0, 0, 0, 8, 0x8E, 0x1189, 82, 82, 0, 82, 0)


def write_zigpy(path: Path, version: int, *, devices: Iterable[int] = (LAMP,), log: bool = False) -> Path:
    """A database of that schema, as the zigpy of its day left it; with `log`, its last transaction stands in the write-ahead log only."""
    with closing(sqlite3.connect(path)) as db:
        db.executescript(SCHEMAS[version])
        db.commit()
        if log:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA wal_autocheckpoint = 0")
        for ieee in devices:
            for table, row in _rows(ieee, version):
                names = [name for _, name, *_ in db.execute(f"PRAGMA table_info({table})")]
                assert names, f"schema {version} has no table {table}"
                columns = names[: len(row)] if "manufacturer_code_idx" not in names else [each for each in names if each != "manufacturer_code_idx"]
                db.execute(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(row))})", row)
        db.commit()
        if log:
            kept = path.read_bytes(), path.with_name(f"{path.name}-wal").read_bytes()
    if log:  # closing wrote the log back: put everything as it was before
        path.write_bytes(kept[0])
        path.with_name(f"{path.name}-wal").write_bytes(kept[1])
    return path


def _rows(ieee: int, version: int) -> list[tuple[str, tuple[Any, ...]]]:
    suffix, address = "" if version < 5 else f"_v{version}", coloned(ieee)
    seen = {True: (HEARD,), False: (HEARD / 1000,)}[version == 8] if version >= 8 else ()
    rows: list[tuple[str, tuple[Any, ...]]] = [
        (f"devices{suffix}", (address, 0x1000 + (ieee & 0xFF), 2, *seen)),
        (f"endpoints{suffix}", (address, 1, 260, 257, 1)),
    ]
    if version >= 13:
        rows += [(f"clusters{suffix}", (address, 1, kind, cluster)) for kind, cluster in ((0, 0), (0, 6), (1, 25))]
    elif version >= 5:
        rows += [(f"{side}_clusters{suffix}", (address, 1, cluster)) for side, cluster in (("in", 0), ("in", 6), ("out", 25))]
    else:
        rows += [(table, (address, 1, cluster)) for table, cluster in (("clusters", 0), ("clusters", 6), ("output_clusters", 25))]
    if version >= 1:
        rows += [(f"groups{suffix}", (7, "hall")), (f"group_members{suffix}", (7, address, 1))] if ieee == LAMP else []
    if version >= 4:
        rows.append(("node_descriptors_v4" if version == 4 else f"node_descriptors{suffix}", (address, *_FIELDS)))
    elif version >= 1:
        rows.append(("node_descriptors", (address, _DESCRIPTOR)))
    return rows + [_attribute(address, attribute, value, version) for attribute, value in ((4, "Rig Works"), (5, "Lamp"))]


def _attribute(address: str, attribute: int, value: str, version: int) -> tuple[str, tuple[Any, ...]]:
    if version >= 14:
        return f"attributes_cache_v{version}", (address, 1, 0, 0, attribute, None, 0, value, HEARD / 1000)
    kind, moment = (0,) if version >= 13 else (), (HEARD / 1000,) if version >= 12 else ()
    table = f"attributes_cache_v{version}" if version >= 5 else "attributes"
    return table, (address, 1, *kind, 0, attribute, value, *moment)
