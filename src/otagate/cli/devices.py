"""Commands about devices."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import typer

from otagate.cli import tables
from otagate.cli.session import Session, command, complain, refusals
from otagate.cli.stops import Exit, ProblemStop, Stop, leaf, worst
from otagate.cli.words import version_text, yes

CHECKS_AT_ONCE = 4

app = typer.Typer()

Ids = Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Device ids; without one, every device.", show_default=False)]


@command(app)
async def devices(
    session: Session,
    radio: Annotated[str | None, typer.Option(help="Only devices of this radio.")] = None,
    protocol: Annotated[str | None, typer.Option(help="zigbee, zwave or cloud.")] = None,
    update_status: Annotated[str | None, typer.Option(help="none, available, updating, updated, failed or waiting.")] = None,
    q: Annotated[str | None, typer.Option(help="Text in id, name, maker or model.")] = None,
) -> Exit:
    """List the devices."""
    items = await session.client.items("devices", query={"radio": radio, "protocol": protocol, "update_status": update_status, "q": q})
    session.tell({"items": items, "next_cursor": None})
    session.say(tables.devices(session.console, items))
    return Exit.DONE


@command(app)
async def device(
    session: Session,
    device_id: Annotated[str, typer.Argument(metavar="ID", help="The device's id, as `otagate devices` shows it.", show_default=False)],
) -> Exit:
    """Show one device and what is offered for it."""
    found = await session.client.get("devices", device_id)
    session.tell(found)
    if not session.as_json:
        offers = await session.client.items("devices", device_id, "releases")
        shown = {name: found[name] for name in ("id", "name", "room", "manufacturer", "model", "radio", "protocol", "power", "update_status")}
        seen = said(found) | {
            "online": yes(found["online"]),
            "last seen": tables.moment(found["last_seen"]),
            "last checked": tables.moment(found["last_checked"]),
        }
        session.say(tables.pairs(session.console, shown | seen))
        session.say(tables.devices(session.console, [found]))
        for each in found["components"]:
            if (back := each.get("rollback")) is not None:
                session.say(f"{each['id']}: {back['sentence']}")
        if offers:
            session.say(tables.releases(session.console, offers))
    return Exit.DONE


@command(app)
async def check(session: Session, ids: Ids = None) -> Exit:
    """Ask devices now which firmware they run."""
    wanted = list(dict.fromkeys(ids)) if ids else [each["id"] for each in await session.client.items("devices", query={})]
    answers: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    waiting = iter(wanted)

    async def work() -> None:
        for each in waiting:
            try:
                answers.append(await session.client.post("devices", each, "check"))
            except ProblemStop as stop:
                failed.append({"device": each, "problem": dict(stop.problem)})

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(CHECKS_AT_ONCE, len(wanted))):
                group.create_task(work())
    except* Stop as stops:
        raise leaf(stops) from None
    answers.sort(key=lambda each: wanted.index(each["id"]))
    session.tell({"items": answers, "failed": failed})
    if answers or not failed:
        session.say(tables.devices(session.console, answers))
    for each in answers:
        if each["check"] == "pending" and not session.as_json:
            complain(f"{each['id']} has not answered yet; the check goes on")
    return worst(refusals(failed))


def said(device: dict[str, Any]) -> dict[str, str]:
    """What an operator says of a device beside its name and room."""
    policy = device["policy"] or {}
    return {
        "groups": ", ".join(device["groups"]),
        "pinned to": "" if device["pin"] is None else version_text(device["pin"]),
        "skips": ", ".join(version_text(each) for each in device["skipped"]),
        "policy": ", ".join(f"{name} {value}" for name, value in policy.items() if value is not None),
    }


@command(app, "set")
async def change(
    session: Session,
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Device ids.", show_default=False)],
    name: Annotated[str | None, typer.Option(help="What to call it; an empty text is its model again.")] = None,
    room: Annotated[str | None, typer.Option(help="Where it is; an empty text clears it.")] = None,
    group: Annotated[list[str] | None, typer.Option(help="Add it to a group.", show_default=False)] = None,
    ungroup: Annotated[list[str] | None, typer.Option(help="Take it out of a group.", show_default=False)] = None,
    pin: Annotated[str | None, typer.Option(metavar="VERSION", help="The only version that is taken.")] = None,
    unpin: Annotated[bool, typer.Option("--unpin", help="Take the pin off.")] = False,
    skip: Annotated[list[str] | None, typer.Option(metavar="VERSION", help="A version that is not taken.", show_default=False)] = None,
    unskip: Annotated[list[str] | None, typer.Option(metavar="VERSION", help="Skip it no longer.", show_default=False)] = None,
    policy: Annotated[str | None, typer.Option(help="automatic, ask or never, whatever the rules say; rules to follow them again.")] = None,
    retries: Annotated[int | None, typer.Option(help="Attempts without progress, whatever the rules say; -1 to follow them again.")] = None,
    channel: Annotated[str | None, typer.Option(help="stable, or beta for both kinds; rules to follow them again.")] = None,
    cooldown: Annotated[str | None, typer.Option(help="How old a release must be, as in 14d; rules to follow them again.")] = None,
    battery_floor: Annotated[int | None, typer.Option(help="Percent below which its battery is left alone; -1 to follow the rules again.")] = None,
    because: Annotated[str | None, typer.Option(help="Why, for the journal and the report.")] = None,
) -> Exit:
    """Name devices, place them, and say which releases they take."""
    if name and len(ids) > 1:
        raise Stop("several devices cannot have one name", Exit.USAGE)
    if pin is not None and unpin:
        raise Stop("--pin and --unpin contradict each other", Exit.USAGE)
    patch = _given(name=name, room=room)
    if pin is not None or unpin:
        patch["pin"] = None if pin is None else _version(pin)
    if override := _given(default=policy, retries=retries, channel=channel, cooldown=cooldown, battery_floor=battery_floor):
        patch["policy"] = {key: None if value in ("rules", -1) else value for key, value in override.items()}
    growing = {"groups": (group, ungroup), "skipped": (_versions(skip), _versions(unskip))}
    if not patch and not any(more or less for more, less in growing.values()):
        raise Stop("nothing is said that could be changed: see otagate set --help", Exit.USAGE)
    changed = []
    for each in dict.fromkeys(ids):
        lists = await _lists(session, each, growing)
        changed.append(await session.client.patch("devices", each, body=patch | lists | _given(because=because)))
    session.tell({"items": changed, "next_cursor": None})
    for device in changed:
        shown = {"id": device["id"], "name": device["name"], "room": device["room"]} | said(device)
        session.say(tables.pairs(session.console, shown))
    return Exit.DONE


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


async def _lists(session: Session, device_id: str, wishes: Mapping[str, tuple[list[Any] | None, list[Any] | None]]) -> dict[str, list[Any]]:
    """A merge patch replaces a list as a whole, so what is added to one or taken from it needs the list as it is."""
    asked = {name: (more or (), less or ()) for name, (more, less) in wishes.items() if more or less}
    if not asked:
        return {}
    device = await session.client.get("devices", device_id)
    return {name: _amended(device[name], more, less) for name, (more, less) in asked.items()}


def _amended(values: Iterable[Any], more: Iterable[Any], less: Iterable[Any]) -> list[Any]:
    gone = set(less)
    return [each for each in dict.fromkeys((*values, *more)) if each not in gone]


def _versions(texts: list[str] | None) -> list[int | str] | None:
    return None if texts is None else [_version(each) for each in texts]


def _version(text: str) -> int | str:
    """A number is a 32-bit file version however it is written; anything else is for the hub to read."""
    try:
        return int(text, 0)
    except ValueError:
        return text
