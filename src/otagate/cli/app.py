"""The command `otagate`: every family of commands, and the options that may stand before any of them."""

from __future__ import annotations

from typing import Annotated

import typer

from otagate import __version__
from otagate.cli import adopt, audit, detect, devices, doctor, hub, init, mirror, past, plan, report, rollouts, system, updates
from otagate.cli.session import AsJson, TokenFile, Url, Wishes

app = typer.Typer(
    name="otagate",
    help="Brings firmware to Zigbee and Z-Wave devices. No configuration yet? `otagate init` writes one, `otagate demo` needs none. "
    "Exit codes: 0 done, 1 it failed (the update, or what was asked), 2 wrong usage, "
    "3 the daemon cannot be reached, 4 refused by policy or compatibility, 78 wrong configuration.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for family in (
    system.app,
    init.app,
    devices.app,
    plan.app,
    updates.app,
    rollouts.app,
    past.app,
    audit.app,
    report.app,
    mirror.app,
    hub.app,
    adopt.app,
    detect.app,
    doctor.app,
):
    app.add_typer(family)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"otagate {__version__}")
        raise typer.Exit


@app.callback()
def before(
    ctx: typer.Context,
    url: Url = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
    version: Annotated[bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Remember what was given before the command."""
    ctx.obj = Wishes(url=url, token_file=token_file, as_json=as_json)
