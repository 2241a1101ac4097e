"""Commands that run on this machine: the daemon, its configuration, the demo. What they need is imported when they run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from otagate.cli.session import DEFAULT_CONFIG, AsJson, Wishes, complain, print_json, settle
from otagate.cli.stops import Exit, Stop, leaf

app = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode=None)

Stack = Literal["znp", "ezsp"]


@app.command()
def run(
    config: Annotated[Path, typer.Option("--config", metavar="FILE", readable=False, help="The configuration.")] = DEFAULT_CONFIG,
) -> None:
    """Run the daemon in the foreground."""
    raise typer.Exit(settle(lambda: _run(config)))


def _run(file: Path) -> Exit:
    from otagate.config import load
    from otagate.model.errors import ConfigError, OtagateError

    try:
        settings = load(file, os.environ)
        from otagate import daemon  # only now: a wrong configuration needs no radio library

        daemon.run(settings)
    except* ConfigError as errors:
        raise SystemExit(_misconfigured(leaf(errors))) from None
    except* OtagateError as errors:
        raise Stop(str(leaf(errors)), Exit.FAILED) from None
    return Exit.DONE


@app.command("check-config")
def check_config(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", readable=False, help="The configuration.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Check a configuration and print what is in force.

    Secrets are masked; those that only the service may see are taken on trust.
    """
    machine_readable = as_json or (isinstance(ctx.obj, Wishes) and ctx.obj.as_json)
    raise typer.Exit(settle(lambda: _check_config(file, as_json=machine_readable), as_json=machine_readable))


def _check_config(file: Path, *, as_json: bool) -> Exit:
    from otagate.config import effective, effective_tree, load
    from otagate.model.errors import ConfigError

    try:
        settings = load(file, os.environ, by_hand=True)
    except ConfigError as error:
        if as_json:
            print_json({"valid": False, "errors": str(error).splitlines()})
        return _misconfigured(error)
    if as_json:
        print_json({"valid": True, "configuration": effective_tree(settings), "warnings": list(settings.warnings)})
        return Exit.DONE
    typer.echo(effective(settings), nl=False)
    for warning in settings.warnings:
        complain(f"warning: {warning}")
    return Exit.DONE


def _misconfigured(error: BaseException) -> Exit:
    for line in str(error).splitlines():
        complain(line)
    return Exit.CONFIG


@app.command()
def demo(
    ctx: typer.Context,
    radio: Annotated[Stack, typer.Option(help="The coordinator that is simulated: Texas Instruments' Z-Stack or Silicon Labs' EmberZNet.")] = "znp",
    stay: Annotated[bool, typer.Option("--stay", help="Keep the hub running after the updates, until Ctrl-C.")] = False,
    once: Annotated[bool, typer.Option("--once", help="End after the updates, as it does by itself.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="What chance in the simulated air is drawn from.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Run a whole hub on simulated radios and devices.

    It needs no hardware and no configuration.
    """
    machine_readable = as_json or (isinstance(ctx.obj, Wishes) and ctx.obj.as_json)
    raise typer.Exit(settle(lambda: _demo(radio, stay=stay, once=once, seed=seed, as_json=machine_readable), as_json=machine_readable))


def _demo(radio: Stack, *, stay: bool, once: bool, seed: int, as_json: bool) -> Exit:
    if stay and once:
        raise Stop("--stay and --once contradict each other", Exit.USAGE)
    import asyncio

    from otagate.cli.demo import perform

    try:
        return asyncio.run(perform(radio, stay=stay, seed=seed, as_json=as_json))
    except asyncio.CancelledError:
        return Exit.INTERRUPTED
