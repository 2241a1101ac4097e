"""Commands about updates."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from otagate.cli import tables
from otagate.cli.session import Session, command, complain, hint, refusals
from otagate.cli.stops import Exit, ProblemStop, Stop, exit_of, slug_of, worst
from otagate.cli.words import behaviour_words

ORDER_LIMIT = 500
_IDLE = frozenset({"already-current", "no-release"})
"""Why a device gets nothing that nobody named: there is nothing for it."""


class PriorityWord(enum.Enum):
    """Who goes first of those that could begin."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"


app = typer.Typer()

Ids = Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Device ids; without one, every device.", show_default=False)]
UpdateIdArgument = Annotated[str, typer.Argument(metavar="UPDATE", help="The update's id.")]
Version = Annotated[str | None, typer.Option(help="The version to bring: an integer, 0x… or the text shown; the newest that fits without it.")]
Component = Annotated[str | None, typer.Option(help="Only this component, such as 0x1409.")]
ImageOption = Annotated[str | None, typer.Option(metavar="SHA256", help="Send exactly this stored image.")]
When = Annotated[str, typer.Option(help="now, window, or a time such as 2026-05-01T03:00:00+02:00.")]
ActivateOption = Annotated[
    str,
    typer.Option("--activate", help="When the device uses the image: now, window (brought at any time), held (until `otagate activate`), or a time."),
]
Downgrade = Annotated[bool, typer.Option("--allow-downgrade", help="Take an older version too.")]
Force = Annotated[bool, typer.Option("--force", help="Overrule window, battery, link, pin, skip, cooldown and approval; never compatibility.")]
Override = Annotated[
    list[str] | None,
    typer.Option("--override", metavar="GUARD", help="Overrule one guard, by the word that it waits with: pinned, battery_low …", show_default=False),
]
Priority = Annotated[PriorityWord, typer.Option("--priority", help="Who goes first of those that could begin: low, normal or high.")]
Because = Annotated[str | None, typer.Option(help="Why guards are overruled.")]


async def rehearse(session: Session, ids: list[str], wishes: Mapping[str, Any]) -> Exit:
    """Show exactly what an order would do, to these devices or to all that something is there for; changes nothing."""
    wanted = ids or [each["id"] for each in await session.client.items("devices", query={"update_status": "available"})]
    answer, stop = await _order(session, wanted, _body(**wishes, dry_run=True))
    codes = _told(session, answer)
    return worst([*(codes if ids else ()), *_cut_short(answer, stop)])


@command(app)
async def update(
    session: Session,
    ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Device ids.", show_default=False)] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every device that there is something for.")] = False,
    model: Annotated[str | None, typer.Option(help="Devices of this model; * is any text.")] = None,
    group: Annotated[str | None, typer.Option(help="Devices of this group.")] = None,
    radio: Annotated[str | None, typer.Option(help="Devices of this radio.")] = None,
    version: Version = None,
    component: Component = None,
    image: ImageOption = None,
    when: When = "now",
    allow_downgrade: Downgrade = False,
    force: Force = False,
    override: Override = None,
    because: Because = None,
    hold: Annotated[bool, typer.Option("--hold", help="The same as --activate held.")] = False,
    activate: ActivateOption = "now",
    priority: Priority = PriorityWord.NORMAL,
    key: Annotated[str | None, typer.Option(help="Sent again under the same key within a day, the order is not made again.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Stay until it is done, and show the progress.")] = False,
) -> Exit:
    """Update devices that are named or meant, in one order.

    Those that are meant are all (--all), or those of a model, a group or a radio.
    """
    whom = _whom(ids, everything=everything, model=model, group=group, radio=radio)
    wishes: dict[str, Any] = {"version": version, "component": component, "image": image, "allow_downgrade": allow_downgrade, "force": force}
    wishes |= {"when": when, "activate": "held" if hold else activate, "priority": priority.value}
    body = _body(**wishes, override=override, because=because, dry_run=dry_run)
    stop: Stop | None = None
    if ids:
        answer, stop = await _order(session, ids, body, key=key)
    else:
        answer = await session.client.post("updates", body={"select": whom, **body}, key=key)
    refused = answer["refused"] if ids else _without_idle(session, answer["refused"])
    if dry_run or not wait:
        return worst([*_told(session, answer, refused), *_cut_short(answer, stop)])
    codes = [*refusals(refused), *_cut_short(answer, stop)]
    if stop is not None:
        session.tell({name: each for name, each in answer.items() if name in ("unanswered", "problem")})
    made = [each["id"] for each in answer["updates"]]
    return worst([*codes, *await _follow(session, made)])


@command(app)
async def rollback(
    session: Session,
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Device ids.", show_default=False)],
    component: Component = None,
    when: When = "now",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")] = False,
) -> Exit:
    """Go back to the last good image before the one that runs."""
    answer, stop = await _order(session, ids, _body(component=component, when=when, rollback=True, dry_run=dry_run))
    return worst([*_told(session, answer), *_cut_short(answer, stop)])


async def _follow(session: Session, updates: list[str] | None) -> list[Exit]:
    from otagate.cli.live import follow

    finals = await follow(session.client, updates, session.console, as_json=session.as_json)
    return [Exit.DONE if each["state"] == "succeeded" else Exit.FAILED for each in finals]


def _body(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value not in (None, False)}


async def _order(
    session: Session, devices_wanted: list[str], body: Mapping[str, Any], *, key: str | None = None
) -> tuple[dict[str, Any], Stop | None]:
    """Order in portions that the API takes, each under its own part of the key; the answers as one.

    Where a later portion fails, what was answered before stays an answer: beside it the devices from there on as `unanswered`, the `problem` that the
    daemon names, and the stop. Raises Stop where nothing was answered.
    """
    whole: dict[str, Any] = {"updates": [], "refused": [], "dry_run": bool(body.get("dry_run"))}
    for start in range(0, len(devices_wanted), ORDER_LIMIT):
        portion = key if key is None or start == 0 else f"{key}.{start}"
        try:
            answer = await session.client.post("updates", body={"devices": devices_wanted[start : start + ORDER_LIMIT], **body}, key=portion)
        except Stop as stop:
            if start == 0:
                raise
            problem = {"problem": dict(stop.problem)} if isinstance(stop, ProblemStop) else {}
            return {**whole, "unanswered": devices_wanted[start:], **problem}, stop
        whole["updates"] += answer["updates"]
        whole["refused"] += answer["refused"]
    return whole, None


def _cut_short(answer: Mapping[str, Any], stop: Stop | None) -> list[Exit]:
    """Say on stderr what became of an order that ended in its middle; its exit code."""
    if stop is None:
        return []
    first, more = answer["unanswered"][0], len(answer["unanswered"])
    known = "" if isinstance(stop, ProblemStop) else f"; whether {'it' if more == 1 else 'some of them'} came to be, otagate updates tells"
    complain(f"{hint(stop)}: the last {more} of the devices, from {first} on, got no answer{known}")
    return [stop.code]


def _whom(ids: list[str] | None, *, everything: bool, model: str | None, group: str | None, radio: str | None) -> dict[str, Any]:
    """What the devices of an order have in common. Raises Stop where that and ids are given, or neither."""
    narrow = {name: value for name, value in {"model": model, "group": group, "radio": radio}.items() if value is not None}
    if bool(ids) + everything + bool(narrow) != 1:
        raise Stop("give ids of devices, or --all, or some of --model, --group and --radio", Exit.USAGE)
    return {"all": True} if everything else narrow


def _without_idle(session: Session, refused: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Those that get nothing and could: devices that there is nothing for are only counted."""
    busy = [each for each in refused if slug_of(each["problem"]) not in _IDLE]
    if len(busy) < len(refused):
        session.say(f"There is nothing for {len(refused) - len(busy)} of the devices.")
    return busy


def _told(session: Session, answer: dict[str, Any], refused: Sequence[Mapping[str, Any]] | None = None) -> list[Exit]:
    session.tell(answer)
    refused = answer["refused"] if refused is None else refused
    if answer["updates"]:
        session.say(tables.updates(session.console, answer["updates"]))
    elif not answer["refused"]:
        session.say("Nothing to update.")
    return [exit_of(each["problem"]) for each in refused] if session.as_json else refusals(refused)


@command(app)
async def updates(
    session: Session,
    state: Annotated[str | None, typer.Option(help="Only these states, separated by commas.")] = None,
    device_id: Annotated[str | None, typer.Option("--device", metavar="ID", help="Only updates of this device.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most so many, the newest.")] = 100,
) -> Exit:
    """List the updates, newest first."""
    items = await session.client.items("updates", query={"state": state, "device": device_id}, most=limit)
    session.tell({"items": items, "next_cursor": None})
    session.say(tables.updates(session.console, items))
    return Exit.DONE


@command(app)
async def show(session: Session, update_id: UpdateIdArgument) -> Exit:
    """Show one update, and how its device is set since.

    Who ordered it and why; what it lost of groups, bindings and other settings, and what was given back.
    """
    found = await session.client.get("updates", update_id)
    session.tell(found)
    session.say(tables.updates(session.console, [found]))
    session.say(tables.pairs(session.console, tables.order_of(found)))
    if found["behaviour"]:
        session.say(tables.pairs(session.console, behaviour_words(found["behaviour"])))
    return Exit.DONE


@command(app)
async def watch(session: Session) -> Exit:
    """Watch every update, live, until interrupted."""
    return worst(await _follow(session, None))


async def _act(session: Session, update_id: str, verb: str) -> Exit:
    answer = await session.client.post("updates", update_id, verb)
    session.tell(answer)
    session.say(tables.updates(session.console, [answer]))
    return Exit.DONE


@command(app)
async def cancel(session: Session, update_id: UpdateIdArgument) -> Exit:
    """Cancel an update; the device goes on with what it runs."""
    return await _act(session, update_id, "cancel")


@command(app)
async def pause(session: Session, update_id: UpdateIdArgument) -> Exit:
    """Pause an update; the device keeps what it has."""
    return await _act(session, update_id, "pause")


@command(app)
async def resume(session: Session, update_id: UpdateIdArgument) -> Exit:
    """Let a paused update go on."""
    return await _act(session, update_id, "resume")


@command(app)
async def prioritize(
    session: Session,
    update_id: UpdateIdArgument,
    priority: Annotated[PriorityWord, typer.Argument(help="low, normal or high.")],
) -> Exit:
    """Let an update go before others, or behind them."""
    answer = await session.client.patch("updates", update_id, body={"priority": priority.value})
    session.tell(answer)
    session.say(tables.updates(session.console, [answer]))
    return Exit.DONE


@command(app)
async def retry(session: Session, update_id: UpdateIdArgument) -> Exit:
    """Try again what failed or was cancelled."""
    return await _act(session, update_id, "retry")


@command(app)
async def approve(session: Session, update_id: UpdateIdArgument) -> Exit:
    """Approve a planned update."""
    return await _act(session, update_id, "approve")


@command(app)
async def activate(
    session: Session,
    update_ids: Annotated[list[str] | None, typer.Argument(metavar="[UPDATE]...", help="The updates' ids.", show_default=False)] = None,
    job: Annotated[str | None, typer.Option(help="Everything of this job.")] = None,
    rollout: Annotated[str | None, typer.Option(help="Everything of this rollout.")] = None,
    group: Annotated[str | None, typer.Option(help="Everything of the devices of this group.")] = None,
    override: Override = None,
    because: Because = None,
) -> Exit:
    """Tell devices to use the images that they hold, all at once.

    Who is in use, or protected by an interlock, waits with it, unless that is overruled by its word: in_use, interlock.
    """
    chosen = {name: value for name, value in {"updates": update_ids, "job": job, "rollout": rollout, "group": group}.items() if value}
    if len(chosen) != 1:
        raise Stop("give ids of updates, or one of --job, --rollout and --group", Exit.USAGE)
    overruled = {"override": override, "because": because} if override else {}
    if update_ids and len(update_ids) == 1 and not overruled:
        return await _act(session, update_ids[0], "activate")
    answer = await session.client.post("activations", body=chosen | overruled)
    session.tell(answer)
    for each in answer["items"]:
        session.say(f"{each['update']} {each['device']}: {each['sentence']}")
    for each in answer["refused"]:
        session.say(f"{each['update']}: {each['problem']['detail']}")
    return worst([exit_of(each["problem"]) for each in answer["refused"]])
