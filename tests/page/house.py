"""A house with something in every corner, for tests and pictures that look at the whole page."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from otagate.engine.views import SourceView
from otagate.model.devices import Device
from otagate.model.errors import SourceUnavailable
from otagate.model.ids import ComponentId, DeviceId, Sha256, UpdateId
from otagate.model.images import Check, Image, ImageFacts
from otagate.model.lifecycle import State
from otagate.model.links import Link, Load
from otagate.model.portraits import Behaviour, Portrait, Setting
from otagate.model.updates import Update
from otagate.sources.effects import Left, Limit
from otagate.sources.source import Skipped
from tests.api.counter import NOON, Counterfoil, device, failed, rollout, update

NAMES = ("Hall lamp", "Kitchen lamp", "Desk socket", "Window sensor", "Old dimmer", "Porch switch")
IDS = tuple(DeviceId(f"zigbee-{number:016x}") for number in range(1, len(NAMES) + 1))
HALL, KITCHEN, DESK, WINDOW, DIMMER, PORCH = IDS
FORGETFUL = Behaviour(kept=3, restored=("binding 1/0x0006",), lost=("group 1/0x0005",), not_compared=("reporting 1/0x0402/0x0000",))
SET = Portrait(
    answered=("groups", "reporting"),
    settings=(
        Setting(kind="group", question="groups", at="1/0x0005"),
        Setting(kind="group", question="groups", at="1/0x0009"),
        Setting(kind="start_up_on_off", question="start-up", at="1", value="1"),
    ),
)
"""How a device was set before its update."""

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\u202egpj.\u2066exe\u0007\x1b[31m" + "x" * 4096
"""What a device, a maker or a file may be called by somebody who means harm: markup, marks that turn a line around, control bytes, 4 KiB."""


def furnish(desk: Counterfoil) -> None:
    """Put devices, updates in most states, a rollout, images and sources into the counter."""
    desk.known = {each.id: each for each in map(_device, IDS, NAMES)}
    desk.known[WINDOW] = replace(desk.known[WINDOW], power="battery", battery_percent=81, room="Study")
    desk.links = {DeviceId(each): Link(heard=NOON, lqi=lqi, rssi=lqi // 4 - 100) for each, lqi in zip(IDS, (212, 140, 31, 96, 255, 18), strict=True)}
    desk.load = Load(measured=NOON, seconds=300, used=4, refused=1)
    for each in _updates():
        desk.jobs[each.id] = each
    desk.portraits[UpdateId("u0002")] = SET
    view = rollout(1, IDS[:2])
    desk.campaigns[view.rollout.id] = view
    image = _image("A19-RGBW-0x01020600.ota", "ab" * 32)
    desk.stored = {each.sha256: each for each in (image, replace(image, sha256=Sha256("cd" * 32), file_name="plug.zigbee", source="ledvance"))}
    desk.source_views = _sources()


def _device(device_id: DeviceId, name: str) -> Device:
    return replace(device(device_id, name), model=name, room="Hall")


def _updates() -> tuple[Update, ...]:
    hour = timedelta(hours=1)
    return (
        replace(failed(1), device=DIMMER, finished=NOON - hour),
        update(2, HALL, State.TRANSFERRING, bytes_sent=900, started=NOON),
        update(3, KITCHEN, State.QUEUED, reason="radio_busy"),
        update(4, DESK, State.PLANNED, reason="awaiting_approval"),
        update(5, WINDOW, State.STAGED, bytes_sent=2000),
        update(6, PORCH, State.SUCCEEDED, finished=NOON - hour, component=ComponentId("0x1409"), behaviour=FORGETFUL),
    )


def _image(name: str, digest: str) -> Image:
    told = ImageFacts(
        format="zigbee-ota",
        size=187_424,
        manufacturer_code=0x1189,
        image_type=0x1409,
        file_version=0x0102_0600,
        stack_version=2,
        header_string="A19 RGBW",
        hardware_min=2,
        hardware_max=4,
        inner_format="silabs-gbl",
        checks=(
            Check(name="header", result="pass", detail="every length fits"),
            Check(name="signature", result="unknown", detail="the maker's key is not known here"),
        ),
    )
    return Image(sha256=Sha256(digest), file_name=name, facts=told, added=NOON)


def _sources() -> list[SourceView]:
    calls = Limit(amount=1000, per=timedelta(days=1))
    return [
        SourceView(name="directory", type="directory", state="ok", sentence="12 images", last_success=NOON, releases=12),
        SourceView(
            name="ledvance",
            type="ledvance",
            state="degraded",
            sentence="The service does not answer; what it said last is used.",
            last_success=NOON - timedelta(hours=5),
            next_refresh=NOON + timedelta(hours=1),
            error=SourceUnavailable("api.update.ledvance.com did not answer within 30 s"),
            quotas=(Left(limit=calls, amount=120), Left(limit=replace(calls, amount=50_000_000, of="bytes"), amount=50_000_000)),
            skipped=(Skipped(what="entry 12", why="it names no file"),),
            left_out=1,
            failures=3,
            releases=48,
        ),
    ]
