"""Commands about radios, sources, images and receivers of notifications."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from otagate.cli import tables
from otagate.cli.session import Session, command, complain
from otagate.cli.stops import Exit, ProblemStop, Stop, sentence_of, worst
from otagate.cli.words import number, plain, size

app = typer.Typer()
images = typer.Typer(no_args_is_help=True, help="Stored firmware images.")
app.add_typer(images, name="images")
notify = typer.Typer(no_args_is_help=True, help="Who is told what happens on the hub.")
app.add_typer(notify, name="notify")

_RECORDS = 100
"""Records of a service in one call: what the services give at most."""

RadioArgument = Annotated[str, typer.Argument(metavar="RADIO", help="The radio's name.")]
Digest = Annotated[str, typer.Argument(metavar="SHA256", help="The image's digest.")]


@command(app)
async def radios(session: Session) -> Exit:
    """List the radios."""
    items = await session.client.items("radios")
    session.tell({"items": items, "next_cursor": None})
    session.say(tables.radios(session.console, items))
    return Exit.DONE


@command(app, "permit-join")
async def permit_join(
    session: Session, radio: RadioArgument, seconds: Annotated[int, typer.Option(min=0, max=254, help="How long; 0 closes the network.")] = 60
) -> Exit:
    """Open a radio's network for new devices."""
    answer = await session.client.post("radios", radio, "permit-join", body={"seconds": seconds})
    session.tell(answer)
    session.say(f"{radio} takes new devices for {seconds} s." if seconds else f"{radio} takes no new devices.")
    return Exit.DONE


@command(app)
async def backup(session: Session, radio: RadioArgument) -> Exit:
    """Copy a radio's network to a file on the hub. The file holds the network key: it is the hub's alone to read."""
    answer = await session.client.post("radios", radio, "backup")
    session.tell(answer)
    session.say(f"{radio} is copied to {answer['path']} ({size(answer['bytes'])}, SHA-256 {answer['sha256']}).")
    return Exit.DONE


@command(app)
async def halt(
    session: Session,
    because: Annotated[str | None, typer.Option(help="Why everything is to stand still.")] = None,
    lift: Annotated[bool, typer.Option("--lift", help="Let everything go on.")] = False,
    show: Annotated[bool, typer.Option("--show", help="Only say whether everything is halted.")] = False,
) -> Exit:
    """Halt everything until --lift: no radio sends any firmware.

    A restart of the hub does not lift it.
    """
    if lift:
        await session.client.delete("halt")
    answer = await (session.client.get("halt") if lift or show else session.client.post("halt", body={"because": because} if because else {}))
    session.tell(answer)
    if answer["halted"]:
        why = f": {answer['because']}" if answer["because"] else ""
        session.say(f"Everything is halted since {tables.moment(answer['since'])} by {answer['actor']}{why}. `otagate halt --lift` lets it go on.")
    else:
        session.say("Nothing is halted.")
    return Exit.DONE


@command(app)
async def windows(session: Session) -> Exit:
    """List the windows for updates, and when they open."""
    items = await session.client.items("windows")
    session.tell({"items": items, "next_cursor": None})
    session.say(tables.windows(session.console, items))
    return Exit.DONE


@command(app, "pause-radio")
async def pause_radio(
    session: Session, radio: RadioArgument, because: Annotated[str | None, typer.Option(help="Why it is to stand still.")] = None
) -> Exit:
    """Let one radio stand still, with all of its transfers.

    A restart of the hub changes nothing about that; `otagate resume-radio` does.
    """
    answer = await session.client.post("radios", radio, "pause", body={"because": because} if because else {})
    session.tell(answer)
    session.say(f"{radio} sends no firmware until `otagate resume-radio {radio}`.")
    return Exit.DONE


@command(app, "resume-radio")
async def resume_radio(session: Session, radio: RadioArgument) -> Exit:
    """Let a radio that was paused go on where it was."""
    session.tell(await session.client.post("radios", radio, "resume"))
    session.say(f"{radio} goes on.")
    return Exit.DONE


@command(app)
async def reattach(session: Session, radio: RadioArgument) -> Exit:
    """Try a radio again now, or borrow one that is lent.

    Where its state is in_use or wrong_network, settle first what its sentence says.
    """
    answer = await session.client.post("radios", radio, "reattach")
    session.tell(answer)
    session.say(f"{radio} is tried again.")
    return Exit.DONE


@command(app)
async def sources(
    session: Session,
    refresh: Annotated[str | None, typer.Option(metavar="NAME", help="Read this source again first.")] = None,
    room: Annotated[str | None, typer.Option(metavar="ID", help="With --refresh: have its service look again at this room first.")] = None,
) -> Exit:
    """List the sources of firmware."""
    if room is not None and refresh is None:
        raise Stop("--room needs --refresh NAME: name the source that knows the room", Exit.USAGE)
    problem = None
    if refresh is not None:
        problem = (await session.client.post("sources", refresh, "refresh", body={"room_id": room} if room is not None else {})).get("error")
    items = await session.client.items("sources")
    session.tell({"items": items, "next_cursor": None})
    session.say(tables.sources(session.console, items))
    if problem is None:
        return Exit.DONE
    complain(f"{refresh}: {sentence_of(problem)}")
    return Exit.FAILED


@command(app)
async def records(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="SOURCE", help="The name of a source whose service keeps records.", show_default=False)],
    which: Annotated[
        str | None,
        typer.Option("--list", metavar="LIST", help="Of Tuya illume: to-be-updated, updating or record; of LEDVANCE: products or details."),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="FILTER=VALUE", help="A filter of the service, as in room_id=r1 or upgrade_status=3,4; again for more."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most so many.")] = 100,
) -> Exit:
    """Show what an update service itself recorded."""
    query = {"list": which, **dict(_filter(each) for each in only or ())}
    items = await session.client.items("sources", name, "records", query=query, most=limit, page=_RECORDS)
    session.tell({"items": items, "next_cursor": None})
    session.say(tables.records(session.console, items))
    return Exit.DONE


def _filter(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals and value) or name in ("limit", "cursor", "list"):
        raise Stop(f"{plain(text)!r} is no filter: write its name, = and its value, as in room_id=r1", Exit.USAGE)
    return name, value


@command(notify, "list")
async def list_notifiers(session: Session) -> Exit:
    """List who is told what happens, and how that goes."""
    items = await session.client.items("notifiers")
    session.tell({"items": items, "next_cursor": None})
    session.say(tables.notifiers(session.console, items))
    return Exit.DONE


@command(notify, "test")
async def try_notifiers(
    session: Session,
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME...]", help="Receivers; all of them without one.", show_default=False)] = None,
) -> Exit:
    """Send a test to receivers of notifications, also in quiet hours."""
    wanted = names or [each["name"] for each in await session.client.items("notifiers")]
    arrived, codes = [], []
    for name in wanted:
        try:
            arrived.append(await session.client.post("notifiers", name, "test"))
            session.say(f"{name}: it has arrived.")
        except ProblemStop as stop:
            complain(f"{name}: {stop}")
            codes.append(stop.code)
    session.tell({"items": arrived, "next_cursor": None})
    if not wanted:
        session.say("Nobody is told: name receivers under notify in the configuration.")
    return worst(codes)


@command(images, "list")
async def list_images(session: Session) -> Exit:
    """List the stored images."""
    items = await session.client.items("images", query={})
    session.tell({"items": items, "next_cursor": None})
    session.say(tables.images(session.console, items))
    return Exit.DONE


@command(images, "add")
async def add_images(
    session: Session,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="As their makers give them.", show_default=False)],
) -> Exit:
    """Store image files."""
    added, codes = [], []
    for file in files:
        try:
            added.append(await session.client.upload(file))
        except ProblemStop as stop:
            complain(f"{file}: {stop}")
            codes.append(stop.code)
    session.tell({"items": added, "next_cursor": None})
    if added:
        session.say(tables.images(session.console, added))
    return worst(codes)


@command(images, "show")
async def show_image(session: Session, sha256: Digest) -> Exit:
    """Show what an image says of itself, and how it was checked."""
    found = await session.client.get("images", sha256)
    session.tell(found)
    if not session.as_json:
        shown = {
            "sha256": found["sha256"],
            "file": found["file_name"],
            "size": f"{size(found['bytes'])} ({found['bytes']} bytes)",
            "format": found["format"] if found["inner_format"] is None else f"{found['format']} ({found['inner_format']} inside)",
            "manufacturer": number(found["manufacturer_code"]),
            "image type": number(found["image_type"]),
            "version": "the file does not say" if found["file_version"] is None else f"{found['display_version']} ({found['file_version']})",
            "hardware": None if found["hardware_min"] is None else f"0x{found['hardware_min']:04x} to 0x{found['hardware_max']:04x}",
            "header": found["header_string"],
            "added": tables.moment(found["added"]),
        }
        checks = {f"check {each['name']}": f"{each['result']}: {each['detail']}" for each in found["checks"]}
        session.say(tables.pairs(session.console, shown | checks))
    return Exit.DONE


@command(images, "rm")
async def remove_image(session: Session, sha256: Digest) -> Exit:
    """Remove a stored image."""
    await session.client.delete("images", sha256)
    session.tell({"removed": sha256})
    session.say(f"Removed {sha256}.")
    return Exit.DONE
