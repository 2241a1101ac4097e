"""`otagate detect`: the serial ports of this machine and what answers on each. It asks no daemon and needs none."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from otagate.cli.session import AsJson, Wishes, print_json, settle, terminal
from otagate.cli.stops import Exit
from otagate.cli.tables import cell, table

if TYPE_CHECKING:
    from otagate.radios.probe import Finding, Port

app = typer.Typer()
Found = list[tuple["Port", "Finding"]]


@app.command()
def detect(
    ctx: typer.Context,
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PATH]...", help="Ports to ask, socket://host:port too; without one, every stick on USB.", show_default=False),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List serial ports, what answers on each, and who holds it.

    A port that somebody holds is not touched. Being asked restarts a Silicon Labs stick, which keeps its network.
    """
    machine_readable = as_json or (isinstance(ctx.obj, Wishes) and ctx.obj.as_json)
    raise typer.Exit(settle(lambda: asyncio.run(_detect(paths or (), as_json=machine_readable)), as_json=machine_readable))


async def _detect(paths: Sequence[str], *, as_json: bool) -> Exit:
    found = await find(paths)
    if as_json:
        print_json({"ports": [_document(port, finding) for port, finding in found]})
    else:
        _show(found)
    silent = [finding for _, finding in found if finding.answers is None and not finding.holders]
    return Exit.FAILED if paths and silent else Exit.DONE


async def find(paths: Sequence[str]) -> Found:
    """What answers on these ports; without one, on every stick on USB."""
    from otagate.radios import probe  # a radio's own libraries are slow to import

    known = await asyncio.to_thread(probe.list_ports)
    wanted = [_named(each, known) for each in dict.fromkeys(paths)] or known
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_look(each, named=bool(paths))) for each in wanted]
    return [(port, task.result()) for port, task in zip(wanted, tasks, strict=True)]


def _named(path: str, known: Sequence[Port]) -> Port:
    from otagate.radios.probe import Port

    return next((each for each in known if path in (each.path, each.device)), Port(path=path, device=path, usb=False))


async def _look(port: Port, *, named: bool) -> Finding:
    from otagate.radios import probe

    if port.usb or named:
        return await probe.probe(port.path)
    holders = (await asyncio.to_thread(probe.holding, port.path)).holders
    return probe.Finding(asked=False, sentence="not asked: it is no stick on USB; name it to have it asked", holders=holders)


def _document(port: Port, finding: Finding) -> dict[str, Any]:
    return asdict(port) | asdict(finding)


def _show(found: Found) -> None:
    from otagate.radios.probe import configuration

    console = terminal()
    if not found:
        console.print("No serial ports: is the stick plugged in?")
        return
    made = table(console, "Port", "Stick", "Answers", "Held by", "What it is")
    for port, finding in found:
        stick = " ".join(each for each in (port.manufacturer, port.product) if each)
        held = ", ".join(f"{each.program or 'a program'} ({each.pid})" for each in finding.holders)
        made.add_row(cell(port.path), cell(stick), cell(finding.answers), cell(held), cell(finding.sentence))
    console.print(made)
    if any(finding.blind for _, finding in found):
        console.print("Programs of other users that hold a port without locking it are seen by root only: sudo otagate detect", soft_wrap=True)
    usable = [(port, finding) for port, finding in found if finding.answers is not None]
    lines = [configuration(port.path, finding, name=f"zigbee{number}") for number, (port, finding) in enumerate(usable)]
    if any(lines):
        console.print("\nFor the configuration:\n\nradios:\n" + "\n".join(each for each in lines if each), soft_wrap=True)
