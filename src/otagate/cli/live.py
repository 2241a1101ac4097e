"""The live view of updates: a table with progress bars on a terminal, plain lines elsewhere, JSON lines on request.

`follow` is used by `watch`, by `update --wait` and by the demo.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

from rich import box
from rich.console import Console, Group, JustifyMethod, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from otagate.cli.client import Client, Event, Json
from otagate.cli.stops import Exit, Stop
from otagate.cli.tables import cell, note, state, step_of, wanted
from otagate.cli.words import duration, plain, size

FINAL = frozenset({"succeeded", "failed", "cancelled", "superseded"})
MOVING = ("transferring", "activating", "confirming", "staged", "offering", "fetching")
BACKOFF = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds between attempts to come back to a daemon that went away."""

WIDE = 145
"""Columns from which on a terminal has room for everything."""

LOGS_READ = 100
"""Updates that are followed with their logs read first; with more, a late event may briefly show one of them as it was before."""

STEP = 10
"""Percent between two lines of progress where there is no terminal."""


class Board:
    """What is known of the updates that are followed."""

    def __init__(self, wanted: Collection[str] | None) -> None:
        self.wanted = None if wanted is None else frozenset(wanted)
        self.updates: dict[str, Json] = {}
        self.names: dict[str, str] = {}
        self.read_until: dict[str, int] = {}

    def take(self, update: Json) -> bool:
        """Take in an update; whether it is one of ours and news. A final state stays: late news of a transfer does not reopen it."""
        key = update["id"]
        before = self.updates.get(key)
        if (self.wanted is not None and key not in self.wanted) or (before is not None and before["state"] in FINAL and update["state"] not in FINAL):
            return False
        self.updates[key] = update
        return before != update

    def knows(self, event: Event) -> bool:
        """Whether what is known of an update is newer than this event of it."""
        return event.id is not None and event.id.isdigit() and int(event.id) <= self.read_until.get(event.data["id"], 0)

    def complete(self) -> bool:
        """Whether every wanted update has ended; without wanted ones, never."""
        return self.wanted is not None and all(key in self.updates and self.updates[key]["state"] in FINAL for key in self.wanted)

    def finals(self) -> list[Json]:
        """The updates that have ended, in the order they were made."""
        return [self.updates[key] for key in sorted(self.updates) if self.updates[key]["state"] in FINAL]

    def title(self, update: Json) -> str:
        """A device's name where it has one, else its model and the end of its id, else its id."""
        return plain(self.names.get(update["device"]) or update["device"])

    def name(self, device: Json) -> None:
        """Learn what a device is called."""
        model = device.get("model")
        self.names[device["id"]] = device.get("name") or (f"{model} …{device['id'][-4:]}" if model else "")


class View(Protocol):
    """Shows the board as it changes."""

    def opened(self) -> AbstractContextManager[object]:
        """The block in which the view is on."""

    def show(self, update: Json) -> None:
        """An update changed."""


class TableView:
    """A table that is drawn again in place."""

    def __init__(self, board: Board, console: Console) -> None:
        self._board = board
        self._console = console
        self._live = Live(console=console, refresh_per_second=4, get_renderable=self._draw, redirect_stdout=False, redirect_stderr=False)

    def opened(self) -> AbstractContextManager[object]:
        """Draw until the block ends."""
        return self._live

    def show(self, update: Json) -> None:
        """Nothing to do: the table is drawn again by itself."""

    def _draw(self) -> Group:
        shown = sorted(self._board.updates.values(), key=_rank)
        room = max(3, self._console.height - 6)
        made = self._empty()
        for each in shown[:room]:
            self._add(made, each)
        hidden = len(shown) - room
        more = [Text(f"… and {hidden} more", style="dim")] if hidden > 0 else []
        return Group(made, *more, Text(tally(shown), style="bold"))

    def _empty(self) -> Table:
        """Columns of a fixed width, so that nothing jumps while numbers change; a narrow terminal does without some."""
        made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        made.add_column("Device", no_wrap=True, max_width=28 if self._console.width >= WIDE else 20)
        for name, width, justify in self._columns():
            made.add_column(name, no_wrap=True, width=width, justify=justify)
        made.add_column("Note", overflow="ellipsis")  # the one column that gives way
        return made

    def _columns(self) -> list[tuple[str, int, JustifyMethod]]:
        """The columns between the device and the note that this terminal has room for: name, width, side."""
        room = self._console.width
        columns: list[tuple[str, int, JustifyMethod, int]] = [
            ("Component", 9, "left", WIDE),
            ("From", 10, "left", WIDE),
            ("To", 10, "left", 100),
            ("State", 12, "left", 0),
            ("Progress", 20 if room >= WIDE else 10, "left", 70),
            ("%", 3, "right", 0),
            ("Rate", 10, "right", WIDE),
            ("Time left", 12, "right", 80),
        ]
        return [(name, width, justify) for name, width, justify, needed in columns if room >= needed]

    def _add(self, made: Table, update: Json) -> None:
        progress = update["progress"]
        rate = progress["bytes_per_second"]
        cells: dict[str, RenderableType] = {
            "Component": cell(update["component"]),
            "From": cell(update["from_display_version"]),
            "To": wanted(update),
            "State": state(update["state"]),
            "Progress": ProgressBar(total=100, completed=progress["percent"]),
            "%": cell(f"{progress['percent']:.0f}"),
            "Rate": cell("" if rate is None else f"{size(rate)}/s"),
            "Time left": cell(duration(progress["eta_seconds"])),
        }
        told = cell(note(update), style="red" if update["error"] else "")
        told.no_wrap = True
        made.add_row(cell(self._board.title(update)), *(cells[name] for name, _, _ in self._columns()), told)


class LineView:
    """One line for each change of state or reason, and for every tenth of a transfer."""

    def __init__(self, board: Board, console: Console) -> None:
        self._board = board
        self._console = console
        self._said: dict[str, tuple[object, ...]] = {}

    def opened(self) -> AbstractContextManager[object]:
        """Nothing to open."""
        return nullcontext()

    def show(self, update: Json) -> None:
        """Print a line where it says something new."""
        progress = update["progress"]
        mark = (update["state"], update["reason"], int(progress["percent"]) // STEP if update["state"] == "transferring" else None)
        if self._said.get(update["id"]) == mark:
            return
        self._said[update["id"]] = mark
        version = update["to_display_version"] or "a version that its source does not name"
        parts = [f"{update['id']} {self._board.title(update)} {update['component']}", f"to {version}{step_of(update)}:", update["state"]]
        if update["state"] == "transferring":
            parts.append(f"{progress['percent']:.0f} %")
            if progress["bytes_per_second"] is not None:
                parts.append(f"at {size(progress['bytes_per_second'])}/s")
            if progress["eta_seconds"] is not None:
                parts.append(f"({duration(progress['eta_seconds'])} left)")
        if told := note(update):
            parts.append(f"- {told}")
        self._console.print(Text(plain(" ".join(parts))), soft_wrap=True)


class JsonView:
    """One JSON object a line: each update as it changes."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def opened(self) -> AbstractContextManager[object]:
        """Nothing to open."""
        return nullcontext()

    def show(self, update: Json) -> None:
        """Print the update."""
        self._console.file.write(json.dumps(update, separators=(",", ":")) + "\n")
        self._console.file.flush()


async def follow(client: Client, update_ids: Collection[str] | None, console: Console, *, as_json: bool = False) -> list[Json]:
    """Show updates until every one of `update_ids` has ended; with None, every update of the hub, until cancelled. Answers with those that ended.

    The daemon may go away and come back meanwhile. Raises Stop where it stays away or refuses.
    """
    board = Board(update_ids)
    view: View = JsonView(console) if as_json else TableView(board, console) if console.is_terminal else LineView(board, console)
    if update_ids is not None and not update_ids:
        return []
    with view.opened():
        await _follow(client, board, view)
    if not as_json:
        conclude(board, console)
    return board.finals()


async def _follow(client: Client, board: Board, view: View) -> None:
    last: str | None = None
    failures = 0
    while not board.complete():
        try:
            async with client.events(after=last) as events:
                await _catch_up(client, board, view)
                failures = 0
                if board.complete():
                    return
                async for event in events:
                    last = event.id or last
                    await _hear(event, board, view)
                    if board.complete():
                        return
        except Stop as stop:
            if stop.code is not Exit.UNREACHABLE or failures == len(BACKOFF):
                raise
        await asyncio.sleep(BACKOFF[min(failures, len(BACKOFF) - 1)])
        failures += 1


async def _catch_up(client: Client, board: Board, view: View) -> None:
    """Read what stands now: events tell only changes."""
    for each in await client.items("devices", query={}):
        board.name(each)
    if board.wanted is None:
        found = await client.items("updates", query={"state": ",".join((*MOVING, "queued", "planned"))})
    else:
        found = [await _read(client, board, key) for key in sorted(board.wanted)]
    for each in found:
        if board.take(each):
            view.show(each)


async def _read(client: Client, board: Board, key: str) -> Json:
    """An update, and how far in the journal that is at least: events up to there would show it as it was before."""
    if len(board.wanted or ()) <= LOGS_READ:
        log = await client.items("updates", key, "log", query={})
        board.read_until[key] = max((each["number"] for each in log), default=0)
    return await client.get("updates", key)


async def _hear(event: Event, board: Board, view: View) -> None:
    if event.event == "device":
        board.name(event.data)
    if event.event != "update" or "state" not in event.data or board.knows(event):
        return
    update = {name: value for name, value in event.data.items() if name != "fact"}
    if board.take(update):
        view.show(update)


def _rank(update: Json) -> tuple[int, str]:
    if update["state"] in MOVING:
        return (0, update["id"])
    return (2 if update["state"] in FINAL else 1, update["id"])


def tally(updates: Iterable[Json]) -> str:
    """How many updates stand where, in one line."""
    counts: dict[str, int] = {}
    rate = 0.0
    for each in updates:
        word = each["state"] if each["state"] in FINAL else "running" if each["state"] in MOVING else "waiting"
        counts[word] = counts.get(word, 0) + 1
        rate += each["progress"]["bytes_per_second"] or 0.0
    order = ("running", "waiting", "succeeded", "failed", "cancelled", "superseded")
    told = ", ".join(f"{counts[word]} {word}" for word in order if word in counts) or "no updates"
    return f"{told}, {size(rate)}/s" if rate else told


def conclude(board: Board, console: Console) -> None:
    """Say how it ended: one line of numbers where the table does not show them, and one for each update that did not succeed."""
    if not console.is_terminal:
        console.print(Text(tally(board.updates.values())))
    for each in board.finals():
        if each["state"] != "succeeded":
            why: Any = note(each) or each["state"]
            console.print(Text(f"  {board.title(each)} {each['component']}: {plain(why)}"), soft_wrap=True)
