"""What would happen, when, and why or why not: of every device, of some, or of one with what every rule says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from otagate.cli import tables, updates
from otagate.cli.session import Session, command
from otagate.cli.stops import Exit, Stop, worst
from otagate.cli.tables import cell, table
from otagate.cli.words import duration

app = typer.Typer()

DeviceOption = Annotated[str | None, typer.Option("--device", metavar="ID", help="Only this device, with what every rule says of it.")]

_WORDS = {
    "nothing": "nothing to do",
    "stopped": "not taken",
    "asks": "needs an order",
    "waits": "waits",
    "begins": "begins",
    "runs": "runs",
}
_STYLES = {"stopped": "red", "asks": "yellow", "waits": "yellow", "begins": "green", "runs": "cyan"}


@command(app)
async def plan(
    session: Session,
    ids: updates.Ids = None,
    device: DeviceOption = None,
    version: updates.Version = None,
    component: updates.Component = None,
    image: updates.ImageOption = None,
    allow_downgrade: updates.Downgrade = False,
    force: updates.Force = False,
    override: updates.Override = None,
    because: updates.Because = None,
) -> Exit:
    """Show what would happen, when, and why or why not.

    And what it costs; with the wishes of an order, what that order would do. Changes nothing.
    """
    wishes: dict[str, Any] = {"version": version, "component": component, "image": image, "allow_downgrade": allow_downgrade, "force": force}
    wishes |= {"override": override, "because": because}
    if any(wishes.values()):
        return await updates.rehearse(session, [*(ids or []), *([device] if device else [])], wishes)
    if device is not None:
        if ids:
            raise Stop("give devices, or one with --device", Exit.USAGE)
        return await _explain(session, device)
    answer = await _some(session, ids) if ids else await _all(session)
    session.tell(answer)
    session.say(plans(session.console, answer["items"]))
    for opening in answer["openings"] or ():
        session.say(told_opening(opening))
    return worst([Exit.REFUSED if _stopped(each) else Exit.DONE for each in answer["items"]]) if ids else Exit.DONE


async def _all(session: Session) -> dict[str, Any]:
    """The plan of the hub, its pages as one."""
    whole: dict[str, Any] = await session.client.get("plan", query={"limit": updates.ORDER_LIMIT})
    while whole["next_cursor"] is not None:
        page = await session.client.get("plan", query={"limit": updates.ORDER_LIMIT, "cursor": whole["next_cursor"]})
        whole["items"] += page["items"]
        whole["next_cursor"] = page["next_cursor"]
    return whole


async def _some(session: Session, ids: Iterable[str]) -> dict[str, Any]:
    return {"items": [await session.client.get("devices", each, "plan") for each in ids], "next_cursor": None, "openings": None}


async def _explain(session: Session, device: str) -> Exit:
    answer = await session.client.get("devices", device, "plan")
    session.tell(answer)
    for each in answer["components"]:
        session.say(tables.pairs(session.console, facts(answer, each)))
        session.say(rules(session.console, each["rules"]))
    return Exit.REFUSED if _stopped(answer) else Exit.DONE


def _stopped(device: Mapping[str, Any]) -> bool:
    parts = device["components"]
    return bool(parts) and all(each["outcome"] == "stopped" for each in parts)


# --- for people ---------------------------------------------------------------------------------------------------------------------------


def plans(console: Console, items: Iterable[Mapping[str, Any]]) -> Table:
    """Plans of devices, one line for each component."""
    made = table(console, "Device", "To", "What", "When", "Takes", "Why")
    for device in items:
        parts = device["components"]
        for each in parts:
            name = device["device"]
            made.add_row(
                cell(name if len(parts) == 1 else f"{name} {each['component']}"),
                cell(_target(each)),
                cell(_WORDS.get(each["outcome"], each["outcome"]), style=_STYLES.get(each["outcome"], "")),
                cell(_when(each)),
                cell(", ".join(_costs(each))),
                cell(_why(each)),
            )
        if not parts:
            made.add_row(cell(device["device"]), cell(None), cell("nothing to do"), cell(None), cell(None), cell("it has told of no firmware yet"))
    return made


def rules(console: Console, items: Iterable[Mapping[str, Any]]) -> Table:
    """What every rule says of a component, in the order in which they are judged; the one that decides has a mark."""
    made = table(console, "", "Rule", "Says", "Why", "By")
    for each in items:
        known = ", ".join(f"{name} {value}" for name, value in each["facts"].items() if value is not None)
        made.add_row(cell(">" if each["decides"] else ""), cell(each["rule"]), tables.state(each["outcome"]), cell(each["sentence"]), cell(known))
    return made


def facts(device: Mapping[str, Any], plan: Mapping[str, Any]) -> dict[str, object]:
    """What is told of one component above its rules."""
    told = dict(zip(("takes", "air", "battery"), _costs(plan), strict=False))
    return {
        "device": f"{device['device']} {device['name']}",
        "component": plan["component"],
        "runs": plan["from_display_version"],
        "to": _target(plan),
        "what": _WORDS.get(plan["outcome"], plan["outcome"]),
        "why": plan["sentence"],
        "when": _when(plan),
        "update": plan["update"],
        **told,
    }


def told_opening(opening: Mapping[str, Any]) -> str:
    """An opening to come, in one line."""
    count = len(opening["turns"])
    what = "nothing is likely to begin" if not count else f"{count} {'update is' if count == 1 else 'updates are'} likely to begin"
    air = f", {duration(opening['airtime_seconds'])} on the air" if count else ""
    return f"{opening['window']} opens {tables.moment(opening['begins'])} and closes {tables.moment(opening['ends'])}: {what}{air}"


def _target(plan: Mapping[str, Any]) -> str | None:
    release, steps = plan["release"], len(plan["steps"])
    if release is None:
        return None
    return f"{release['display_version']}{f' ({steps} steps)' if steps > 1 else ''}"


def _when(plan: Mapping[str, Any]) -> str | None:
    when = plan["when"]
    if when is None or plan["outcome"] in ("nothing", "stopped"):
        return None
    if when["kind"] in ("time", "window", "turn") and when["begins"] is not None:
        return tables.moment(when["begins"])
    return {"now": "now", "wake": "when it wakes"}.get(when["kind"], "nobody can tell")


def _costs(plan: Mapping[str, Any]) -> list[str]:
    """How long it takes, how long of that on the air and how much of the channel, and how much of a battery; what is an estimate says `about`."""
    minutes, air, share, battery = plan["minutes"], plan["airtime_seconds"], plan["air_share"], plan["battery_percent"]
    told = [] if minutes is None else [f"{_about(minutes)}{duration(minutes['value'] * 60)}"]
    if air is not None:
        told.append(f"{duration(air['value'])} on the air" + ("" if share is None else f" ({share['value']:.0%} of it)"))
    if battery is not None:
        told.append(f"{_about(battery)}{battery['value']:.1f} % of the battery")
    return told


def _about(figure: Mapping[str, Any]) -> str:
    return "about " if figure["known"] == "estimate" else ""


def _why(plan: Mapping[str, Any]) -> str | None:
    when = plan["when"]
    return None if plan["outcome"] == "begins" and when is not None else plan["sentence"]
