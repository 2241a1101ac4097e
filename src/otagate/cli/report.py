"""Commands about the report of a month: have it made, and check one without a daemon or a network."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from otagate.cli.session import AsJson, Session, Wishes, command, complain, print_json, settle
from otagate.cli.stops import Exit, Stop
from otagate.files import write_durably
from otagate.reports.report import parse_month
from otagate.reports.seal import Proof, check, read_key

_LARGEST = 256 * 1024 * 1024
_LARGEST_KEY = 4_096

app = typer.Typer()


@command(app)
async def report(
    session: Session,
    month: Annotated[str | None, typer.Option(metavar="YYYY-MM", help="Which month; without it the one that runs.")] = None,
    form: Annotated[Literal["html", "csv"], typer.Option("--format", help="html, to be read and printed, or csv.")] = "html",
    output: Annotated[Path, typer.Option(metavar="DIR", help="The folder for the file; - is standard output.")] = Path(),
    public_key: Annotated[bool, typer.Option("--public-key", help="Only show the key that reports are sealed with.")] = False,
) -> Exit:
    """Write the report of a month for whoever owns the house.

    What there is, what is current, every exception, every update that ended.
    It is sealed: `otagate verify-report` tells whether a file is as it was made.
    """
    key = (await session.client.get("report", "key"))["key"]
    if public_key:
        session.tell({"key": key})
        session.say(key)
        return Exit.DONE
    wanted = _month(month)
    data = bytearray()
    async for chunk in session.client.stream("report", query={"month": wanted, "format": form}):
        data += chunk
        if len(data) > _LARGEST:
            raise Stop(f"the report is longer than {_LARGEST} bytes", Exit.FAILED)
    proof = check(bytes(data), key=key)
    if not proof.holds:
        raise Stop(f"the report did not arrive as it was made: {proof.sentence}", Exit.FAILED)
    if str(output) == "-":
        sys.stdout.buffer.write(data)
        sys.stdout.flush()
        return Exit.DONE
    file = output / f"otagate-report-{wanted}.{form}"
    try:
        output.mkdir(parents=True, exist_ok=True)
        write_durably(file, bytes(data))
    except OSError as error:
        raise Stop(f"cannot write {file}: {error.strerror}", Exit.USAGE) from None
    session.tell({"file": str(file), "month": wanted, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(), "key": key})
    session.say(f"{file} is sealed with the key {key}.")
    session.say(f"Check it anywhere: otagate verify-report {file} --key {key}")
    return Exit.DONE


def _month(text: str | None) -> str:
    if text is None:
        from otagate.engine.timers import SystemClock

        return f"{SystemClock().now().astimezone():%Y-%m}"
    try:
        return str(parse_month(text))
    except ValueError as error:
        raise Stop(f"--month: {error}", Exit.USAGE) from None


@app.command("verify-report")
def verify_report(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", readable=False, help="A report, HTML or CSV.", show_default=False)],
    key: Annotated[
        str | None, typer.Option(help="The key of the hub, as `otagate report --public-key` shows it, or a file with it.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Tell whether a report is as it was made.

    It needs no daemon and no network.
    """
    machine_readable = as_json or (isinstance(ctx.obj, Wishes) and ctx.obj.as_json)
    raise typer.Exit(settle(lambda: _verify(file, key, as_json=machine_readable), as_json=machine_readable))


def _verify(file: Path, key: str | None, *, as_json: bool) -> Exit:
    proof = check(_read(file, _LARGEST), key=None if key is None else _key(key))
    if as_json:
        print_json({"file": str(file), "holds": proof.holds, "sentence": proof.sentence, "key": proof.key})
    elif proof.holds:
        typer.echo(f"{file}: {proof.sentence}\n{_whose(proof, given=key is not None)}")
    else:
        complain(f"{file}: {proof.sentence}")
    return Exit.DONE if proof.holds else Exit.FAILED


def _whose(proof: Proof, *, given: bool) -> str:
    if given:
        return f"The key that was given signed it: {proof.key}."
    return f"It was signed by {proof.key}. Whether that is your hub's key says `otagate report --public-key` there, or give it with --key."


def _key(text: str) -> str:
    """The key that was given, by itself or in a file. Raises Stop."""
    given = text if text.startswith("ed25519:") else _read(Path(text), _LARGEST_KEY).decode("ascii", "replace")
    try:
        read_key(given)
    except ValueError as error:
        raise Stop(f"--key: {error}", Exit.USAGE) from None
    return given.strip()


def _read(file: Path, most: int) -> bytes:
    try:
        with file.open("rb") as stream:
            data = stream.read(most + 1)
    except OSError as error:
        raise Stop(f"cannot read {file}: {error.strerror}", Exit.USAGE) from None
    if len(data) > most:
        raise Stop(f"{file} is longer than {most} bytes", Exit.USAGE)
    return data
