"""The daemon: opens the parts of a hub in order, owns every task, and closes in reverse."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import structlog

from otagate import logs
from otagate.api.auth import TokenFile
from otagate.api.server import Server, serve
from otagate.api.settings import ApiSettings
from otagate.assembly import READ_ADVISORIES, Parts, life_of
from otagate.assembly import Pace as Pace
from otagate.config import HubSettings, effective_tree
from otagate.config.kinds import at_home
from otagate.engine.bulletin import NAME as ADVISORIES
from otagate.engine.desk import Desk
from otagate.engine.pulse import Pulse, watch_store
from otagate.model.errors import ConfigError, StoreUnavailable
from otagate.ports import Store
from otagate.stores import open_store
from otagate.systemd import feed_watchdog, notify

LOG = structlog.get_logger("otagate")

_LOOK_FOR_DUE = timedelta(minutes=5)
_LOOK_AFTER_ITSELF = timedelta(minutes=10)
_SPREAD = timedelta(hours=1)
"""At most so far from its hour a service is asked: not all hubs that came up after one power cut ask it at one moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hub:
    """A hub that runs: its desk, its server, its store."""

    desk: Desk
    server: Server
    store: Store


class _Tasks:
    """Every task of the hub: one group, and a bell that ends them all."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self._group = group
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, work: Coroutine[Any, Any, None], *, name: str) -> None:
        """Run until it ends or the hub does."""
        self._tasks.append(self._group.create_task(work, name=name))

    def ended(self) -> list[str]:
        """The names of those that have ended; while the hub runs none should."""
        return [task.get_name() for task in self._tasks if task.done()]

    def end(self) -> None:
        """Cancel all; the group waits for them."""
        for task in self._tasks:
            task.cancel()


def run(settings: HubSettings) -> None:
    """Run the daemon in the foreground until SIGTERM or SIGINT. Raises ConfigError, StoreError."""
    os.umask(0o077)
    logs.set_up(level=settings.logging.level, form=settings.logging.format)
    for warning in settings.warnings:
        LOG.warning(warning)
    asyncio.run(_until_signalled(settings))


def spare_what_stays() -> None:
    """What a hub is made of lives as long as it does: to look through it for garbage would hold the loop up for 60 ms each time."""
    gc.collect()
    gc.freeze()


async def _until_signalled(settings: HubSettings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with running(settings) as hub:
        spare_what_stays()
        notify(f"READY=1\nSTATUS=serving {', '.join(hub.server.addresses)}")
        await stop.wait()
        notify("STOPPING=1")
        hub.server.drain()


@asynccontextmanager
async def running(settings: HubSettings, *, pace: Pace | None = None) -> AsyncIterator[Hub]:
    """A whole hub for as long as the block lasts. Raises ConfigError, StoreError before anything is served."""
    _make_state_folder(settings.state_dir)
    async with open_store(settings.store.url, settings.state_dir) as store:
        parts = Parts(settings, store, pace or Pace())
        await parts.registry.load()
        await parts.library.load()
        await parts.cases.load()
        await parts.halt.load()
        await parts.radio_pauses.load()
        await parts.rollout_book.load()
        await parts.conductor.recover()
        async with parts.http, asyncio.TaskGroup() as group, AsyncExitStack() as closing:
            tasks = _Tasks(group)
            closing.callback(tasks.end)
            _start(parts, tasks)
            await closing.enter_async_context(parts.timers.running())
            closing.callback(parts.journal.close)
            server = await closing.enter_async_context(serve(parts.desk, _api(settings), parts.counter))
            parts.counter.address = _reachable(server.addresses)
            closing.callback(parts.conductor.stop_admitting)
            LOG.info("hub is running", addresses=server.addresses, radios=list(parts.radios))
            yield Hub(desk=parts.desk, server=server, store=store)


def _make_state_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except PermissionError:
        why = f'this user may not make or use {folder}: sudo install -d -o "$USER" -m 0700 {folder}'
        raise ConfigError(f"state_dir: {why}") from None
    except OSError as error:
        raise StoreUnavailable(f"state_dir: {folder} cannot be made: {error.strerror or error}: name a folder on a disk that is here") from error


def _start(parts: Parts, tasks: _Tasks) -> None:
    """Start every task and every timer."""
    intake = parts.intake.run(registry=parts.registry, conductor=parts.conductor, interrogator=parts.interrogator, consultant=parts.consultant)
    tasks.start(intake, name="intake")
    tasks.start(parts.registry.run(), name="registry")
    tasks.start(parts.errands.run(), name="errands")
    tasks.start(parts.consultant.run(), name="consultant")
    tasks.start(parts.interrogator.run(), name="interrogator")
    tasks.start(parts.refresher.run(), name="refresher")
    tasks.start(parts.conductor.run(), name="conductor")
    tasks.start(parts.rollouts.run(), name="rollouts")
    tasks.start(parts.recalls.run(), name="recalls")
    for name in parts.radios:
        tasks.start(life_of(parts, name), name=f"radio:{name}")
    if parts.mirror is not None:
        tasks.start(parts.mirror.show(), name="mirror")
        tasks.start(parts.mirror.follow(), name="mirror:news")
        tasks.start(parts.mirror.orders.obey(), name="mirror:orders")
    if parts.farewell is not None:
        tasks.start(parts.farewell.say(), name="farewell")
    if parts.line is not None:
        tasks.start(parts.life_of_line(parts.line), name="mqtt")
    for receiver, notifier in parts.notifiers.items():
        tasks.start(notifier.run(), name=f"notify:{receiver}")
    tasks.start(parts.upkeep.run(), name="upkeep")
    tasks.start(watch_store(parts.store, parts.pulse), name="store")
    if parts.watchdog is not None:
        tasks.start(feed_watchdog(parts.watchdog, partial(_dead, parts.pulse, tasks, parts.watchdog)), name="watchdog")
    parts.timers.every(_LOOK_FOR_DUE, parts.interrogator.post_due, name="interrogate")
    parts.timers.every(_LOOK_AFTER_ITSELF, parts.upkeep.post, name="upkeep")
    for source in parts.settings.sources:
        due = partial(parts.refresher.post_due, source.name)
        parts.timers.every(source.every, due, name=f"refresh:{source.name}", spread=min(source.every / 24, _SPREAD))
        parts.refresher.post(source.name)
    parts.timers.every(READ_ADVISORIES, partial(parts.refresher.post, ADVISORIES), name=f"refresh:{ADVISORIES}")
    parts.refresher.post(ADVISORIES)


def _dead(pulse: Pulse, tasks: _Tasks, longest: float) -> list[str]:
    """What has ended though it must not, and what hangs."""
    return [*(f"task {name}" for name in tasks.ended()), *pulse.silent(longest=longest)]


def _reachable(addresses: Sequence[str]) -> str | None:
    """Where a program on this machine finds the API."""
    found = next((each for each in addresses if each.startswith("http")), None)
    return None if found is None else at_home(found)


def _public(settings: HubSettings) -> list[str]:
    """What the API is called by elsewhere."""
    given = (settings.api.public_url, *(each.images_url for each in settings.radios))
    return [each for each in given if each is not None]


def _api(settings: HubSettings) -> ApiSettings:
    api = settings.api
    return ApiSettings(
        token_file=settings.token_file,
        tokens=tuple(TokenFile(name=each.name, file=each.file, scopes=frozenset(each.scopes)) for each in api.tokens),
        listen=api.listen,
        hosts=(*api.hosts, *(urlsplit(each).hostname or "" for each in _public(settings))),
        upload_limit=settings.images.max_bytes,
        effective=effective_tree(settings),
    )
