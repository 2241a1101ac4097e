"""What every client command shares: where the daemon is, the token, how to speak, and how the command ends."""

from __future__ import annotations

import asyncio
import errno
import functools
import inspect
import ipaddress
import json
import os
import sys
import typing
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Concatenate, ParamSpec
from urllib.parse import urlsplit

import typer
from rich.console import Console, RenderableType
from rich.text import Text

from otagate.cli.stops import Exit, ProblemStop, Stop
from otagate.cli.words import plain

if typing.TYPE_CHECKING:
    from otagate.cli.client import Client

DEFAULT_URL = "http://127.0.0.1:8377"
DEFAULT_CONFIG = Path("/etc/otagate/otagate.yaml")
DEFAULT_SOCKET = Path("/run/otagate/otagate.sock")
"""Where the packaged unit lets the group otagate in without a token."""
DEFAULT_TOKEN_FILE = Path("/var/lib/otagate/api-token")
MAX_TOKEN = 4096
PLAIN_WIDTH = 10_000
"""Columns where the output is no terminal: nothing is folded or cut there."""

_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)

P = ParamSpec("P")
Url = Annotated[str | None, typer.Option("--url", help="Where the daemon is: http://host:port or unix:/path. [env: OTAGATE_URL]", show_default=False)]
TokenFile = Annotated[
    Path | None, typer.Option("--token-file", help="The file that holds the daemon's token. [env: OTAGATE_TOKEN_FILE]", show_default=False)
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document, or one JSON object a line where it streams.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What was given before the command; the command's own options win."""

    url: str | None = None
    token_file: Path | None = None
    as_json: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One client command at work."""

    client: Client
    as_json: bool
    console: Console = field(default_factory=lambda: terminal())

    def say(self, what: RenderableType | str) -> None:
        """Show something to people; nothing in JSON mode. Text is shown as it is, never read as markup."""
        if not self.as_json:
            self.console.print(Text(plain(what)) if isinstance(what, str) else what)

    def tell(self, document: Mapping[str, Any]) -> None:
        """Print one JSON object on one line; nothing outside of JSON mode."""
        if self.as_json:
            print_json(document)


def print_json(document: Mapping[str, Any]) -> None:
    """One JSON object on one line."""
    sys.stdout.write(json.dumps(document, separators=(",", ":")) + "\n")
    sys.stdout.flush()


class Paper(Console):
    """A console that leaves it to `settle` what becomes of a reader that went away."""

    def on_broken_pipe(self) -> None:
        """Nobody reads any more."""
        raise BrokenPipeError


def terminal(*, stderr: bool = False) -> Console:
    """Standard output, or standard error: as wide as the terminal, or wide enough that nothing is folded where there is none."""
    console = Paper(stderr=stderr, highlight=False, emoji=False, markup=False)
    if not console.is_terminal:
        console.width = PLAIN_WIDTH
    return console


def complain(sentence: str) -> None:
    """One line on stderr, where that can be written: it is the exit code that counts."""
    with suppress(OSError):
        typer.echo(f"otagate: {plain(sentence)}", err=True)


def command(
    app: typer.Typer, name: str | None = None, **options: Any
) -> Callable[[Callable[Concatenate[Session, P], Awaitable[Exit]]], Callable[Concatenate[Session, P], Awaitable[Exit]]]:
    """Register a coroutine as a client command: it gains `--url`, `--token-file` and `--json`, and returns its exit code."""

    def register(run: Callable[Concatenate[Session, P], Awaitable[Exit]]) -> Callable[Concatenate[Session, P], Awaitable[Exit]]:
        app.command(name, **options)(_with_options(run))
        return run

    return register


def _with_options(run: Callable[..., Awaitable[Exit]]) -> Callable[..., None]:
    def call(ctx: typer.Context, *, url: str | None, token_file: Path | None, as_json: bool, **options: Any) -> None:
        before = ctx.obj if isinstance(ctx.obj, Wishes) else Wishes()
        wishes = Wishes(url=url or before.url, token_file=token_file or before.token_file, as_json=as_json or before.as_json)
        raise typer.Exit(settle(lambda: asyncio.run(_converse(wishes, functools.partial(run, **options))), as_json=wishes.as_json))

    # typer reads the options from the signature: the coroutine's own ones after the session, then the three that all share
    hints = typing.get_type_hints(run, localns={"Client": object}, include_extras=True)
    own = [each.replace(annotation=hints[each.name]) for each in list(inspect.signature(run).parameters.values())[1:]]
    keyword = inspect.Parameter.KEYWORD_ONLY
    shared = [
        inspect.Parameter("url", keyword, default=None, annotation=Url),
        inspect.Parameter("token_file", keyword, default=None, annotation=TokenFile),
        inspect.Parameter("as_json", keyword, default=False, annotation=AsJson),
    ]
    context = inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    parameters = [context, *(each.replace(kind=keyword) for each in own), *shared]
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {each.name: each.annotation for each in parameters}
    call.__name__, call.__doc__ = run.__name__, run.__doc__
    return call


async def _converse(wishes: Wishes, run: Callable[[Session], Awaitable[Exit]]) -> Exit:
    from otagate.cli.client import Client  # here, not above: `--help` and wrong usage need no HTTP

    url = wishes.url or os.environ.get("OTAGATE_URL") or usual_url(wishes.token_file)
    async with Client(url, read_token(wishes.token_file, url=url)) as client:
        return await run(Session(client=client, as_json=wishes.as_json))


def usual_url(token_file: Path | None) -> str:
    """Where a daemon is that nobody named: at the socket of the packaged unit where we may open it and gave no token, else on loopback."""
    with_token = token_file is not None or os.environ.get("OTAGATE_TOKEN_FILE")
    return DEFAULT_URL if with_token or not os.access(DEFAULT_SOCKET, os.R_OK | os.W_OK) else f"unix:{DEFAULT_SOCKET}"


def read_token(given: Path | None, *, url: str) -> str | None:
    """The token for the daemon at `url`: from the file given, or from `OTAGATE_TOKEN_FILE`, else from the usual place, where that may hold one.

    What lies there is this machine's own, and is shown to no other.
    """
    named = given or (Path(os.environ["OTAGATE_TOKEN_FILE"]) if os.environ.get("OTAGATE_TOKEN_FILE") else None)
    if named is None and not _is_here(url):
        return None
    try:
        with (named or DEFAULT_TOKEN_FILE).open("rb") as stream:
            token = stream.read(MAX_TOKEN).strip().decode("ascii")
    except OSError as error:
        if named is None:
            return None
        raise Stop(f"cannot read the token file {named}: {error.strerror}", Exit.USAGE) from None
    except UnicodeDecodeError:
        token = ""
    if not token or not token.isprintable():
        raise Stop(f"the token file {named or DEFAULT_TOKEN_FILE} holds no token", Exit.USAGE)
    return token


def _is_here(url: str) -> bool:
    """Whether only a daemon of this machine answers there."""
    if url.startswith("unix:"):
        return True
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def settle(run: Callable[[], Exit], *, as_json: bool = False) -> int:
    """Run a command to its exit code: a stop is one line on stderr (and in JSON mode the problem on stdout), an interrupt is silent.

    A reader of the output that went away is nobody's fault; a disk that is full is told.
    """
    try:
        return int(run())
    except Stop as stop:
        if as_json and isinstance(stop, ProblemStop):
            print_json({"problem": dict(stop.problem)})
        complain(hint(stop))
        return int(stop.code)
    except KeyboardInterrupt:
        return int(Exit.INTERRUPTED)
    except (KeyError, TypeError) as error:
        complain(f"the daemon's answer cannot be understood ({error}); is it of another version than this command?")
        return int(Exit.FAILED)
    except BrokenPipeError:
        _drop_output()
        return int(Exit.DONE)
    except OSError as error:
        if error.errno not in _UNWRITABLE or error.filename is not None:
            raise
        _drop_output()
        complain(f"the output cannot be written: {error.strerror}")
        return int(Exit.FAILED)


def _drop_output() -> None:
    """Let the interpreter's last flush go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def hint(stop: Stop) -> str:
    """A stop's sentence, with what to do about it where that is known."""
    if isinstance(stop, ProblemStop) and stop.problem.get("status") == 401:
        what = "does not know the token that it was shown" if stop.with_token else "wants its token"
        return f"the daemon {what}: name the file with --token-file or OTAGATE_TOKEN_FILE; it is api-token in the state_dir of the hub"
    return str(stop)


def refusals(refused: Iterable[Mapping[str, Any]]) -> list[Exit]:
    """Say on stderr which devices were refused and why; their exit codes."""
    from otagate.cli.stops import exit_of, sentence_of

    codes = []
    for each in refused:
        complain(f"{each['device']}: {sentence_of(each['problem'])}")
        codes.append(exit_of(each["problem"]))
    return codes
