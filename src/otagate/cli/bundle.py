"""The support bundle: what somebody who helps must know of a hub, in one file to show to them. It needs no daemon, and asks one that runs."""

from __future__ import annotations

import importlib.metadata
import io
import json
import os
import platform
import sqlite3
import sys
import tarfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from otagate import __version__, files
from otagate.cli import redaction
from otagate.cli.checkup import Patient, copied_store
from otagate.cli.findings import Finding
from otagate.cli.redaction import Redaction
from otagate.cli.stops import Exit, Stop

if TYPE_CHECKING:
    from otagate.cli.client import Client
    from otagate.config import HubSettings

FACTS = 500
"""The last lines of the journal that a bundle holds."""

Json = Mapping[str, Any]


@dataclass(slots=True, kw_only=True)
class Gathered:
    """What there is, as it was answered: nothing of it is written before it is redacted. `missing` says of what there is not why."""

    devices: Sequence[Json] = ()
    parts: dict[str, tuple[Any, redaction.Shape]] = field(default_factory=dict)
    metrics: str | None = None
    missing: dict[str, str] = field(default_factory=dict)


async def ask(client: Client, gathered: Gathered) -> None:
    """Gather what the daemon tells; whatever it does not is missing, with the reason."""

    async def take(name: str, shape: redaction.Shape, read: Callable[[], Awaitable[Any]]) -> None:
        try:
            gathered.parts[name] = (await read(), shape)
        except Stop as stop:
            gathered.missing[name] = str(stop)

    await take("devices", redaction.DEVICES, lambda: client.items("devices", query={}))
    gathered.devices = gathered.parts.get("devices", ((), {}))[0]
    await take("radios", redaction.RADIOS, lambda: client.items("radios"))
    await take("sources", redaction.SOURCES, lambda: client.items("sources"))
    await take("notifiers", redaction.NOTIFIERS, lambda: client.items("notifiers"))
    await take("halt", redaction.HALT, lambda: client.get("halt"))
    await take("facts", redaction.FACTS, lambda: client.items("journal", query={}, most=FACTS))
    await take("health", redaction.HEALTH, client.health)
    try:
        gathered.metrics = await client.metrics()
    except Stop as stop:
        gathered.missing["metrics"] = str(stop)


async def read_store(patient: Patient, gathered: Gathered) -> None:
    """Gather what the store tells while no daemon has it open, from a copy."""
    from otagate.model.errors import StoreError
    from otagate.stores import open_store

    if patient.store is None or patient.daemon is not None:
        return
    try:
        with copied_store(patient.store) as copy:
            async with open_store(f"sqlite:///{copy.name}", copy.parent) as store:
                last = await store.facts.last_number()
                facts = await store.facts.after(max(0, last - FACTS), limit=FACTS)
                gathered.devices = [{"id": each.id, "name": each.name} for each in await store.devices.all()]
    except (StoreError, sqlite3.Error, OSError) as error:
        gathered.missing["facts"] = str(error)
        return
    told = ("number", "subject", "subject_id", "kind")
    newest_first = [{"at": each.at.isoformat(), "data": each.data} | {name: getattr(each, name) for name in told} for each in reversed(facts)]
    gathered.parts["facts"] = (newest_first, redaction.FACTS)
    gathered.missing.pop("facts", None)


def contents(settings: HubSettings | None, findings: Sequence[Finding], gathered: Gathered, *, names: bool) -> Mapping[str, str]:
    """The files of a bundle, redacted: name → text."""
    from otagate.config import effective_tree

    clean = Redaction(((each["id"], each["name"] or "") for each in gathered.devices), names=names)
    parts = dict(gathered.parts) | {"findings": ([each.document() for each in findings], redaction.FINDINGS)}
    if settings is not None:
        parts["configuration"] = (effective_tree(settings), redaction.CONFIGURATION)
    else:
        gathered.missing["configuration"] = "it could not be read: see the findings"
    found = {f"{name}.json": _written(clean.allowed(value, shape)) for name, (value, shape) in sorted(parts.items())}
    found["versions.json"] = _written(versions())
    found["missing.json"] = _written({name: clean.text(why) for name, why in sorted(gathered.missing.items())})
    if gathered.metrics is not None:
        found["metrics.txt"] = clean.metrics(gathered.metrics)
    return found


def versions() -> Json:
    """otagate, Python, the system, and every library that otagate itself asks for."""
    libraries: dict[str, str | None] = {}
    for requirement in importlib.metadata.requires("otagate") or ():
        name = requirement.partition(";")[0].split("[")[0].split("<")[0].split(">")[0].split("=")[0].strip()
        if "extra == 'dev'" in requirement or 'extra == "dev"' in requirement or name == "otagate":
            continue
        with suppress(importlib.metadata.PackageNotFoundError):
            libraries[name] = importlib.metadata.version(name)
    system = {"system": platform.system(), "release": platform.release(), "machine": platform.machine()}
    return {"otagate": __version__, "python": sys.version.split()[0], "sqlite": sqlite3.sqlite_version, **system, "libraries": libraries}


def _written(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=True, sort_keys=False) + "\n"


def usual_name(now: datetime) -> Path:
    """What a bundle is called that nobody named."""
    return Path(f"otagate-bundle-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}.tar.gz")


def write(path: Path, texts: Mapping[str, str], now: datetime) -> int:
    """Write the archive, for its owner alone; its size in bytes. Raises Stop where something has that name already, or it cannot be written."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, text in texts.items():
            entry = tarfile.TarInfo(f"otagate-bundle/{name}")
            data = text.encode("ascii", "backslashreplace")
            entry.size, entry.mode, entry.mtime = len(data), 0o600, int(now.timestamp())
            archive.addfile(entry, io.BytesIO(data))
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise Stop(f"{path} exists already, and a bundle overwrites nothing: name another file", Exit.USAGE) from None
    except OSError as error:
        raise Stop(f"cannot write {path}: {error.strerror}", Exit.USAGE) from None
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(packed.getbuffer())
        files.sync(path)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise Stop(f"cannot write {path}: {error.strerror}", Exit.FAILED) from None
    return len(packed.getbuffer())
