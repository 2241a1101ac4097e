"""Commands about rollouts."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from otagate.cli import tables
from otagate.cli.session import Session, command, refusals
from otagate.cli.stops import Exit, Stop, exit_of, worst

app = typer.Typer()
rollouts = typer.Typer(no_args_is_help=True, help="Rollouts: one order for many devices, in waves.")
app.add_typer(rollouts, name="rollouts")

RolloutArgument = Annotated[str, typer.Argument(metavar="ROLLOUT", help="The rollout's id.")]
_PARTS = ("share", "success", "error", "soak", "gate")


def read_wave(text: str) -> dict[str, Any]:
    """One `--wave`: `SHARE[:SUCCESS[:ERROR[:SOAK[:GATE]]]]`, shares as in 0.05; what is empty or left out is the daemon's default. Raises Stop."""
    given = text.split(":")
    if len(given) > len(_PARTS) or not given[0]:
        raise Stop(f"--wave {text!r}: write SHARE[:SUCCESS[:ERROR[:SOAK[:GATE]]]], as in 0.05:0.95:0.02:24h:auto", Exit.USAGE)
    wave: dict[str, Any] = {}
    for name, value in zip(_PARTS, given, strict=False):
        if not value:
            continue
        try:
            wave[name] = value if name in ("soak", "gate") else float(value)
        except ValueError:
            raise Stop(f"--wave {text!r}: {name} {value!r} is no number; shares are written as in 0.05", Exit.USAGE) from None
    return wave


@command(rollouts, "list")
async def list_rollouts(session: Session) -> Exit:
    """List the rollouts, newest first."""
    items = await session.client.items("rollouts", query={})
    session.tell({"items": items, "next_cursor": None})
    session.say(tables.rollouts(session.console, items))
    return Exit.DONE


@command(rollouts, "show")
async def show_rollout(session: Session, rollout_id: RolloutArgument) -> Exit:
    """Show a rollout with its waves."""
    return _show(session, await session.client.get("rollouts", rollout_id))


@command(rollouts, "start")
async def start_rollout(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the rollout is called.")],
    model: Annotated[str | None, typer.Option(help="Only devices of this model; * stands for anything.")] = None,
    group: Annotated[str | None, typer.Option(help="Only devices of this group.")] = None,
    radio: Annotated[str | None, typer.Option(help="Only devices of this radio.")] = None,
    device: Annotated[list[str] | None, typer.Option(metavar="ID", help="Only this device; may be given again.")] = None,
    version: Annotated[str | None, typer.Option(help="This version; without it the newest that policy allows.")] = None,
    wave: Annotated[
        list[str] | None,
        typer.Option(metavar="SHARE[:SUCCESS[:ERROR[:SOAK[:GATE]]]]", help="A wave, as in 0.05:0.95:0.02:24h:manual; may be given again."),
    ] = None,
    when: Annotated[str, typer.Option(help="now, window, or a time as in 2026-05-01T03:00:00+02:00.")] = "now",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")] = False,
) -> Exit:
    """Start a rollout; without --wave it is one device, 5 %, 25 %, the rest."""
    chosen = {"model": model, "group": group, "radio": radio, "devices": device}
    body: dict[str, Any] = {"name": name, "select": {key: value for key, value in chosen.items() if value}, "when": when, "dry_run": dry_run}
    body |= {} if version is None else {"version": version}
    body |= {"waves": [read_wave(each) for each in wave]} if wave else {}
    answer = await session.client.post("rollouts", body=body)
    _show(session, answer)
    return worst([exit_of(each["problem"]) for each in answer["refused"]] if session.as_json else refusals(answer["refused"]))


def _show(session: Session, rollout: dict[str, Any]) -> Exit:
    session.tell(rollout)
    facts = {"rollout": rollout["id"] or "(only planned)", "name": rollout["name"], "state": rollout["state"], "because": rollout["sentence"]}
    session.say(tables.pairs(session.console, facts))
    session.say(tables.waves(session.console, rollout["waves"]))
    return Exit.DONE


async def _act(session: Session, rollout_id: str, verb: str) -> Exit:
    return _show(session, await session.client.post("rollouts", rollout_id, verb))


@command(rollouts)
async def pause(session: Session, rollout_id: RolloutArgument) -> Exit:
    """Begin nothing more of it; what is on the air goes on."""
    return await _act(session, rollout_id, "pause")


@command(rollouts)
async def resume(session: Session, rollout_id: RolloutArgument) -> Exit:
    """Let it go on; failures so far stop it no more."""
    return await _act(session, rollout_id, "resume")


@command(rollouts)
async def halt(session: Session, rollout_id: RolloutArgument) -> Exit:
    """Stop it at the next block."""
    return await _act(session, rollout_id, "halt")


@command(rollouts)
async def approve(session: Session, rollout_id: RolloutArgument) -> Exit:
    """Open the wave that waits for an operator."""
    return await _act(session, rollout_id, "approve")


@command(rollouts)
async def cancel(session: Session, rollout_id: RolloutArgument) -> Exit:
    """End it: what has not ended is cancelled as far as that can be."""
    return await _act(session, rollout_id, "cancel")
