"""`otagate init`: a configuration of what is found on this machine, with the reason beside every line. It overwrites nothing."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from otagate.cli.detect import Found, find
from otagate.cli.session import AsJson, Wishes, print_json, settle
from otagate.cli.stops import Exit, Stop
from otagate.cli.words import plain

HEAD = """\
# A hub, written by `otagate init` from what it found on this machine. Every key there is: config/otagate.yaml.
# Is it right? otagate check-config FILE    What else is wrong? otagate doctor --config FILE    Run it: otagate run --config FILE

# What must survive a restart lies here. Make it once: sudo install -d -o "$USER" -m 0700 /var/lib/otagate
state_dir: /var/lib/otagate

# Loopback only: nobody else on the network reaches the hub.
api:
  listen: 127.0.0.1:8377
"""
TAIL = """\

sources:
  # Image files of your own: put them here, and they are offered to the devices that they are for.
  - type: directory
    path: /var/lib/otagate/images
  # The community's collection for Zigbee devices; also ledvance, ikea, sonoff, zigpy-ota, and zwave-js for Z-Wave.
  - type: z2m-index

policy:
  # Nothing is updated by itself: you order each update. `automatic` takes releases two weeks after they came out.
  default: ask

# When updates may use the air; without windows, at any time.
# windows:
#   - {name: night, from: "01:00", to: "05:00", zone: Europe/Berlin}     # then above: window: night

# Who is told what happens.
# notify:
#   - {name: phone, type: ntfy, url: https://ntfy.example.org/my-house, severity: warning}

# Home Assistant shows the devices where both use the same broker (pip install 'otagate[mqtt]').
# mqtt:
#   url: mqtt://127.0.0.1:1883
"""
NONE = """\
radios: []    # in the place of [] come lines like these:
#  - name: zigbee0
#    type: znp                                        # Texas Instruments; ezsp for Silicon Labs
#    path: /dev/serial/by-id/usb-YOUR_STICK-if00      # or socket://host:6638
"""
ZWAVE = """\
#  - name: zwave0
#    type: zwave-js                                   # Z-Wave, through the server that zwave-js-ui and Home Assistant have
#    url: ws://127.0.0.1:3000
"""
STATE = Path("/var/lib/otagate")

app = typer.Typer()


@app.command()
def init(
    ctx: typer.Context,
    paths: Annotated[list[str] | None, typer.Argument(metavar="[PATH]...", help="Ports to ask; every stick on USB.", show_default=False)] = None,
    output: Annotated[Path, typer.Option(metavar="FILE", help="The file that is written; one that exists is left as it is.")] = Path("otagate.yaml"),
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before it is written.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a first configuration, from what is found here.

    It asks before it writes, and never overwrites a file.
    """
    machine_readable = as_json or (isinstance(ctx.obj, Wishes) and ctx.obj.as_json)
    raise typer.Exit(settle(lambda: _init(paths or [], output, yes=yes, as_json=machine_readable), as_json=machine_readable))


def _init(paths: list[str], output: Path, *, yes: bool, as_json: bool) -> Exit:
    try:
        there = output.exists()
    except OSError as error:
        raise Stop(f"cannot write {output}: {error.strerror}", Exit.USAGE) from None
    if there:
        raise Stop(f"{output} exists and is left as it is: name another file with --output", Exit.USAGE)
    if not yes and (as_json or not sys.stdin.isatty()):
        raise Stop("there is nobody to ask here whether the file is to be written: give --yes", Exit.USAGE)
    text = written(asyncio.run(find(paths)))
    _prove(text)
    if not yes:
        typer.echo(text)
        if not typer.confirm(f"Write this to {output}?"):
            return Exit.DONE
    try:
        with output.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise Stop(f"cannot write {output}: {error.strerror}", Exit.USAGE) from None
    if as_json:
        print_json({"file": str(output)})
    else:
        typer.echo(f"{output} is written.\nNext: " + "\n      ".join(_next(output)))
    return Exit.DONE


def _next(output: Path) -> Iterator[str]:
    """The commands that lead from the file to a hub that runs."""
    if not os.access(STATE, os.R_OK | os.W_OK | os.X_OK):
        yield f'sudo install -d -o "$USER" -m 0700 {STATE}'
    yield from (f"otagate {verb} {output}" for verb in ("check-config", "doctor --config", "run --config"))


def written(found: Found) -> str:
    """The text of the configuration."""
    return HEAD + "\n" + "\n".join(_radios(found)) + "\n" + TAIL


def _radios(found: Found) -> Iterator[str]:
    from otagate.radios.probe import configuration

    lines: list[str] = []
    for port, finding in found:
        stick = " ".join(each for each in (port.manufacturer, port.product) if each) or "a port"
        remark = plain(f"# {stick} at {port.path}: {finding.sentence}")
        radio = configuration(port.path, finding, name=f"zigbee{sum(each.startswith('  - name') for each in lines)}")
        if radio is None:
            yield remark  # what the hub does not drive, and why
        else:
            taken = "    network: existing    # taken as it is; `form` makes a new one, on an empty stick only"
            lines += [f"  {remark}", *radio.splitlines(), taken]
    yield from (["radios:", *lines] if lines else ["# No stick answered that the hub drives.", NONE.rstrip()])
    yield ZWAVE.rstrip()


def _prove(text: str) -> None:
    """What is written is right: it passes the check that it names. Raises Stop."""
    from otagate.config import load
    from otagate.model.errors import ConfigError

    with tempfile.TemporaryDirectory(prefix="otagate-init-") as folder:
        file = Path(folder) / "otagate.yaml"
        file.write_text(text, encoding="utf-8")
        try:
            load(file, {name: value for name, value in os.environ.items() if not name.startswith("OTAGATE_")}, by_hand=True)
        except ConfigError as error:
            raise Stop(f"no configuration can be made of what was found: {error}", Exit.FAILED) from None
