"""What the API answers about radios."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from otagate.api.documents import Document
from otagate.api.problems import Problem, problem_of
from otagate.engine import views
from otagate.model import links
from otagate.ports import RadioBackup as BackupFile
from otagate.ports import RadioState


class Load(Document):
    """What a radio had to do in the last `seconds`, in percent: of the time on its air, by other traffic than updates; and of what it refused."""

    used: int
    refused: int
    seconds: int
    measured: datetime


class RadioPause(Document):
    """Who lets a radio stand still, since when and why."""

    since: datetime
    actor: str
    because: str | None


class Radio(Document):
    """One attached coordinator."""

    name: str
    type: str
    state: RadioState
    sentence: str
    devices: int
    transfers: int
    parallel: int
    load: Load | None = Field(default=None, description="null while it is not up, or where it does not tell")
    error: Problem | None = Field(default=None, description="why it is not up, once it was tried")
    paused: RadioPause | None = Field(default=None, description="null unless an operator has paused what it sends")
    borrowed_from: str | None = Field(default=None, description="the program whose stick is borrowed, so that it cannot control its lamps now")


class RadioBackup(Document):
    """A copy of a radio's network: where the hub keeps it, and the SHA-256 of the file. `devices` are those that the copy knows."""

    radio: str
    path: str
    format: str
    sha256: str
    bytes: int
    devices: int
    created: datetime


class PermitJoin(Document):
    """A network that is open for new devices."""

    radio: str
    seconds: int


def radio_document(view: views.RadioView) -> Radio:
    """The document of a radio."""
    return Radio(
        name=view.name,
        type=view.type,
        state=view.state,
        sentence=view.sentence,
        devices=view.devices,
        transfers=view.transfers,
        parallel=view.parallel,
        paused=None if view.paused is None else _radio_pause(view.paused),
        load=None if view.load is None else _load(view.load),
        borrowed_from=view.borrowed_from,
        error=None if view.error is None else problem_of(view.error),
    )


def backup_document(backup: BackupFile) -> RadioBackup:
    """The document of a copy of a network."""
    return RadioBackup(
        radio=backup.radio,
        path=str(backup.path),
        format=backup.format,
        sha256=backup.sha256,
        bytes=backup.size,
        devices=backup.devices,
        created=backup.created,
    )


def _radio_pause(view: views.HaltView) -> RadioPause:
    return RadioPause(since=view.since, actor=view.actor, because=view.because)


def _load(load: links.Load) -> Load:
    return Load(used=load.used, refused=load.refused, seconds=load.seconds, measured=load.measured)
