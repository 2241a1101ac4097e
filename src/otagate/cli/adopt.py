"""`otagate adopt`: take over a network that another program formed. It works beside a hub that does not run."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import typing
from pathlib import Path
from typing import Annotated, Literal

import typer

from otagate.cli.session import AsJson, Wishes, complain, settle, terminal
from otagate.cli.stops import Exit, Stop

if typing.TYPE_CHECKING:
    from otagate.adoption.report import Report
    from otagate.config import HubSettings, RadioSettings

app = typer.Typer()

From = Literal["z2m", "zha"]


@app.command()
def adopt(
    ctx: typer.Context,
    radio: Annotated[str, typer.Argument(metavar="RADIO", help="The radio's name in the configuration.", show_default=False)],
    where: Annotated[
        Path, typer.Argument(metavar="PATH", help="zigbee2mqtt's data folder, or ZHA's zigbee.db. It is only read.", show_default=False)
    ],
    program: Annotated[From, typer.Option("--from", help="Which program knows the network.", show_default=False)],
    config: Annotated[Path, typer.Option("--config", metavar="FILE", readable=False, help="The hub's configuration.", show_default=False)],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be taken over, and change nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Take over a network that zigbee2mqtt or ZHA formed.

    Its devices come with their names and groups, and none needs pairing.

    The hub must not run meanwhile, and the other program no longer; its files are only read.
    """
    as_json = as_json or (isinstance(ctx.obj, Wishes) and ctx.obj.as_json)
    raise typer.Exit(settle(lambda: _adopt(radio, where, program, config, dry_run=dry_run, as_json=as_json), as_json=as_json))


def _adopt(name: str, where: Path, program: From, config: Path, *, dry_run: bool, as_json: bool) -> Exit:
    from otagate.config import load
    from otagate.model.errors import AdoptionError, ConfigError, OtagateError, WrongNetwork

    try:
        settings = load(config, os.environ, by_hand=True)
        radio = _radio(settings, name)
        report = asyncio.run(_perform(settings, radio, where, program, dry_run=dry_run))
    except ConfigError as error:
        for line in str(error).splitlines():
            complain(line)
        return Exit.CONFIG
    except (AdoptionError, WrongNetwork) as error:
        raise Stop(str(error), Exit.REFUSED) from None
    except OtagateError as error:
        raise Stop(str(error), Exit.FAILED) from None
    if as_json:
        sys.stdout.write(json.dumps(report.document(dry_run=dry_run), separators=(",", ":")) + "\n")
    else:
        _show(report, dry_run=dry_run)
    return Exit.DONE


def _radio(settings: HubSettings, name: str) -> RadioSettings:
    from otagate.radios.stacks import STACKS

    found = next((each for each in settings.radios if each.name == name), None)
    if found is None:
        known = ", ".join(each.name for each in settings.radios) or "none"
        raise Stop(f"there is no radio {name!r} in the configuration; it has {known}", Exit.USAGE)
    if found.type not in STACKS:
        raise Stop(f"radio {name!r} is of type {found.type}: only a Zigbee coordinator has a network to adopt", Exit.USAGE)
    return found


async def _perform(settings: HubSettings, radio: RadioSettings, where: Path, program: From, *, dry_run: bool) -> Report:
    from otagate import logs
    from otagate.adoption.adopt import adopt, preview
    from otagate.adoption.programs import READERS
    from otagate.engine.timers import SystemClock

    logs.set_up(level="error", form="auto")
    logging.disable()  # what goes wrong is said once, by us
    network = await READERS[program](where.absolute(), radio.type)
    if dry_run:
        return preview(network, radio=radio.name, state_dir=settings.state_dir)
    os.umask(0o077)
    try:
        return await adopt(
            network,
            radio=radio.name,
            radio_type=radio.type,
            state_dir=settings.state_dir,
            store_url=settings.store.url,
            clock=SystemClock(),
        )
    finally:
        _hand_over(settings.state_dir)


def _hand_over(state_dir: Path) -> None:
    """The superuser may read both programs' files; what was written belongs to the hub's user, who could not use it otherwise."""
    if os.geteuid() == 0 and state_dir.exists():
        owner = state_dir.stat()
        for each in state_dir.iterdir():
            if each.lstat().st_uid == 0:
                os.chown(each, owner.st_uid, owner.st_gid, follow_symlinks=False)


def _show(report: Report, *, dry_run: bool) -> None:
    from otagate.cli import tables

    console, document = terminal(), report.document(dry_run=dry_run)
    console.print(tables.adopted(console, document["devices"]))
    for each in document["left_out"]:
        console.print(tables.cell(f"left out: {each['what']}: {each['why']}"))
    for each in document["remarks"]:
        console.print(tables.cell(f"note: {each}"))
    network = document["network"]
    which = f"of network {network['extended_pan_id']} " if network is not None else ""
    counted = f"{len(document['devices'])} devices and {len(document['groups'])} groups {which}"
    if dry_run:
        console.print(tables.cell(f"Would adopt {counted}for {report.radio}. Nothing was changed."))
    else:
        console.print(tables.cell(f"Adopted {counted}for {report.radio}. Stop the other program, then start the hub: no device needs pairing."))
