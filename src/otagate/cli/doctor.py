"""`otagate doctor`: what is wrong with this hub, and the command that mends it. It needs no daemon and asks one that is there."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from otagate import __version__
from otagate.cli import bundle, checkup, session
from otagate.cli.findings import Finding, bad, ok, warning
from otagate.cli.session import DEFAULT_CONFIG, AsJson, TokenFile, Url, Wishes, print_json, read_token, settle, terminal, usual_url
from otagate.cli.stops import Exit, ProblemStop, Stop
from otagate.cli.tables import cell

if TYPE_CHECKING:
    from otagate.cli.client import Client
    from otagate.config import HubSettings

MARKS = {"ok": ("ok", "green"), "warning": ("!", "yellow"), "bad": ("WRONG", "red")}
RADIO_REMEDIES = {
    "in_use": "stop the other program, then: otagate reattach {name}",
    "wrong_network": "put the old stick back, or do as the sentence says; then: otagate reattach {name}",
    "retrying": "otagate detect",
    "lent": "nothing, or to borrow it now: otagate reattach {name}",
    "starting": "wait a moment, then: otagate radios",
}

app = typer.Typer()


@app.command()
def doctor(
    ctx: typer.Context,
    config: Annotated[Path, typer.Option("--config", metavar="FILE", readable=False, help="The hub's configuration.")] = DEFAULT_CONFIG,
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="Where the bundle goes.", show_default=False)] = None,
    as_bundle: Annotated[bool, typer.Option("--bundle", help="Write what a helper needs to know into a .tar.gz, without secrets.")] = False,
    names: Annotated[bool, typer.Option("--names", help="Leave the names and addresses of devices in the bundle.")] = False,
    url: Url = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """Say what is wrong with this hub, and what mends it.

    It needs no daemon, and asks one that runs.
    """
    if not as_bundle and (file is not None or names):
        raise typer.BadParameter("FILE and --names belong to --bundle")
    before = ctx.obj if isinstance(ctx.obj, Wishes) else Wishes()
    wishes = Wishes(url=url or before.url, token_file=token_file or before.token_file, as_json=as_json or before.as_json)
    run = (lambda: _bundle(config, wishes, file, names=names)) if as_bundle else (lambda: _doctor(config, wishes))
    raise typer.Exit(settle(run, as_json=wishes.as_json))


def _bundle(config: Path, wishes: Wishes, file: Path | None, *, names: bool) -> Exit:
    from otagate.engine.timers import SystemClock

    now = SystemClock().now()
    path, gathered = file or bundle.usual_name(now), bundle.Gathered()
    findings, patient = _look(config, wishes, gathered)
    texts = bundle.contents(None if patient is None else patient.settings, findings, gathered, names=names)
    written = bundle.write(path, texts, now)
    if wishes.as_json:
        print_json({"bundle": str(path), "bytes": written, "files": sorted(texts), "missing": sorted(gathered.missing)})
        return Exit.DONE
    console = terminal()
    console.print(cell(f"{path}: {', '.join(sorted(texts))}; yours alone to read, and sent to nobody."), soft_wrap=True)
    if gathered.missing:
        console.print(cell(f"Not in it: {', '.join(sorted(gathered.missing))}; missing.json says why."), soft_wrap=True)
    return Exit.DONE


def _look(config: Path, wishes: Wishes, gathered: bundle.Gathered | None = None) -> tuple[list[Finding], checkup.Patient | None]:
    """What is found, and with `gathered` what a bundle holds besides."""
    findings = [*checkup.machine()]
    settings = _read(config, findings)
    patient = None if settings is None else checkup.Patient(config=config, settings=settings, daemon=store_owner(settings))
    if patient is not None:
        findings += checkup.examine(patient)
    findings += asyncio.run(_ask(config, settings, wishes, gathered))
    if gathered is not None and patient is not None and "facts" not in gathered.parts:
        asyncio.run(bundle.read_store(patient, gathered))
    return findings, patient


def _doctor(config: Path, wishes: Wishes) -> Exit:
    findings, _ = _look(config, wishes)
    wrong = sum(each.result == "bad" for each in findings)
    if wishes.as_json:
        print_json({"findings": [each.document() for each in findings]})
    else:
        _show(findings)
    return Exit.FAILED if wrong else Exit.DONE


def _is_there(config: Path) -> bool:
    with suppress(OSError):
        return config.exists()
    return True  # in a folder that this user may not look into


def _read(config: Path, findings: list[Finding]) -> HubSettings | None:
    """The settings, or what is wrong with them."""
    from otagate.config import load
    from otagate.model.errors import ConfigError

    try:
        return load(config, os.environ, by_hand=True)
    except ConfigError as error:
        if not _is_there(config):
            remedy = "name yours with --config, or have one written: otagate init"
            findings.append(bad("configuration", f"{config} does not exist", remedy))
        else:
            findings.extend(bad("configuration", line, _mended(line, config)) for line in str(error).splitlines())
        return None


def _mended(line: str, config: Path) -> str:
    """What to do about an error of the configuration; the line itself says what is right there."""
    if "by others (mode" in line:
        return "sudo chmod 0600 FILE, the one that this key names (token_file: api-token in the state folder, where it is not given)"
    return f"edit {config}, then: otagate check-config {config}"


def store_owner(settings: HubSettings) -> int | None:
    """The process that has the hub's store open, by the lock that it holds."""
    from otagate.radios.holders import holding

    if not settings.store.url.startswith("sqlite:///"):
        return None
    lock = settings.state_dir / f"{settings.store.url.removeprefix('sqlite:///')}.lock"
    return next((each.pid for each in holding(str(lock)).holders), None)


# --- the daemon ---------------------------------------------------------------------------------------------------------------------------


async def _ask(config: Path, settings: HubSettings | None, wishes: Wishes, gathered: bundle.Gathered | None) -> list[Finding]:
    from otagate.cli.client import Client

    url = wishes.url or os.environ.get("OTAGATE_URL") or _address(config, settings) or usual_url(wishes.token_file)
    try:
        async with Client(url, _token(wishes, settings, url)) as client:
            if gathered is not None:
                await bundle.ask(client, gathered)
            return [each async for each in _daemon(client, url)]
    except ProblemStop as stop:
        if stop.problem.get("status") == 401:
            return [bad("daemon", f"the daemon at {url} wants its token", "sudo otagate doctor, or name it with --token-file")]
        return [bad("daemon", f"the daemon at {url} answers: {stop}", "journalctl -u otagate -n 50")]
    except Stop as stop:
        return [bad("daemon", str(stop), _start(config))]


def _start(config: Path) -> str:
    return "sudo systemctl start otagate, then: journalctl -u otagate -n 50" if checkup.UNIT.exists() else f"otagate run --config {config}"


def _address(config: Path, settings: HubSettings | None) -> str | None:
    """Where the daemon of this configuration listens, a socket that we may open first; the packaged unit adds its own to what the file says."""
    from otagate.config.kinds import at_home

    if settings is None:
        return None
    listen = (*settings.api.listen, *([f"unix:{session.DEFAULT_SOCKET}"] if config == DEFAULT_CONFIG else []))
    sockets = [each for each in listen if each.startswith("unix:") and os.access(each.removeprefix("unix:"), os.W_OK)]
    ports = [at_home(f"http://{each}") for each in settings.api.listen if not each.startswith("unix:")]
    return next(iter(sockets + ports), None)


def _token(wishes: Wishes, settings: HubSettings | None, url: str) -> str | None:
    if wishes.token_file is None and not os.environ.get("OTAGATE_TOKEN_FILE") and settings is not None:
        with suppress(Stop):
            return read_token(settings.token_file, url=url)
        return None
    return read_token(wishes.token_file, url=url)


async def _daemon(client: Client, url: str) -> AsyncIterator[Finding]:
    told = await client.get("openapi.json")
    version = told["info"]["version"]
    if version == __version__:
        yield ok("daemon", f"answers at {url}")
    else:
        yield warning("daemon", f"the daemon is otagate {version}, this command is {__version__}", "sudo systemctl restart otagate")
    for finding in _halted(await client.get("halt")):
        yield finding
    for radio in await client.items("radios"):
        yield _radio(radio)
    for source in await client.items("sources"):
        if source["state"] != "ok":
            yield warning(f"source {source['name']}", source["sentence"], f"otagate sources --refresh {source['name']}")
    for finding in _broker(await client.health()):
        yield finding
    for receiver in await client.items("notifiers"):
        yield _receiver(receiver)
    for finding in _devices(await client.items("devices", query={})):
        yield finding


def _broker(health: Mapping[str, Any]) -> Iterator[Finding]:
    said = health.get("mqtt")
    if said == "ok":
        yield ok("mqtt", "the line to the broker is up")
    elif said is not None:
        yield warning("mqtt", f"the line to the broker is down: {said}", "start the broker (sudo systemctl start mosquitto), or put mqtt.url right")


def _receiver(receiver: dict[str, Any]) -> Finding:
    check = f"receiver {receiver['name']}"
    if receiver["state"] == "ok":
        return ok(check, receiver["sentence"])
    return warning(check, f"{receiver['sentence']}; {receiver['waiting']} wait", f"otagate notify test {receiver['name']}")


def _halted(halt: dict[str, Any]) -> Iterator[Finding]:
    if halt["halted"]:
        yield warning("halt", f"everything is halted by {halt['actor']}: {halt['because'] or 'nobody said why'}", "otagate halt --lift")


def _radio(radio: dict[str, Any]) -> Finding:
    check, sentence = f"radio {radio['name']}", f"{radio['state']}: {radio['sentence']}"
    if radio["state"] == "up":
        return ok(check, sentence)
    remedy = RADIO_REMEDIES.get(radio["state"], "otagate radios").format(name=radio["name"])
    return warning(check, sentence, remedy) if radio["state"] in {"starting", "disabled", "lent"} else bad(check, sentence, remedy)


def _devices(devices: list[dict[str, Any]]) -> Iterator[Finding]:
    untold = [each["id"] for each in devices if each["online"] and not each["components"] and each["power"] == "mains"]
    if untold:
        yield warning("devices", f"{len(untold)} of {len(devices)} have not told which firmware they run", f"otagate check {untold[0]}")


def _show(findings: list[Finding]) -> None:
    console = terminal()
    for each in findings:
        mark, style = MARKS[each.result]
        line = cell(f"{mark:<6} {each.check}: {each.sentence}")
        line.stylize(style, 0, 6)
        console.print(line, soft_wrap=True)
        if each.remedy is not None:
            console.print(cell(f"       do: {each.remedy}"), soft_wrap=True)
    wrong, warned = (sum(each.result == result for each in findings) for result in ("bad", "warning"))
    console.print(f"{wrong} wrong, {warned} to know of." if wrong or warned else "Nothing is wrong.")
