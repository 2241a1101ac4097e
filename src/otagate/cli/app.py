"""The command `otagate`: every family of commands, and the options that may stand before any of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command_name

from otagate import __version__
from otagate.cli import adopt, audit, detect, devices, doctor, hub, init, mirror, past, plan, report, rollouts, system, updates
from otagate.cli.session import AsJson, TokenFile, Url, Wishes

SECTIONS: Mapping[str, Sequence[typer.Typer]] = {
    "Set up and run": (system.app, init.app, adopt.app, detect.app, doctor.app),
    "Devices": (devices.app,),
    "Updates": (plan.app, updates.app, rollouts.app),
    "What happened": (past.app, audit.app, report.app),
    "The hub": (hub.app, mirror.app),
}
"""The families of commands as `--help` shows them: in one list of forty nobody finds anything."""


class _InSections(TyperGroup):
    def list_commands(self, _: Any) -> list[str]:
        """In the order of the sections."""
        return [name for families in SECTIONS.values() for name in _names(families) if name in self.commands]

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """As the library does, but section by section."""
        width = formatter.width - 6 - max(map(len, self.commands))
        for title, families in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name, self.commands[name].get_short_help_str(width)) for name in _names(families)])


def _names(families: Sequence[typer.Typer]) -> Iterator[str]:
    for family in families:
        yield from (each.name or get_command_name(each.callback.__name__) for each in family.registered_commands if each.callback is not None)
        yield from (str(each.name) for each in family.registered_groups)


app = typer.Typer(
    name="otagate",
    cls=_InSections,
    help="Brings firmware to Zigbee and Z-Wave devices. No configuration yet? `otagate init` writes one, `otagate demo` needs none. "
    "Exit codes: 0 done, 1 it failed (the update, or what was asked), 2 wrong usage, "
    "3 the daemon cannot be reached, 4 refused by policy or compatibility, 78 wrong configuration.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for family in (each for families in SECTIONS.values() for each in families):
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
