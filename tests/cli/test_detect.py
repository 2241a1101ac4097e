"""`otagate detect`, typed on a machine whose sticks are emulated."""

from __future__ import annotations

import pytest

from otagate.radios import probe
from otagate_rig.rig import Rig
from tests.cli.conftest import otagate
from tests.radios.test_probe import held

pytestmark = pytest.mark.asyncio


async def test_every_stick_is_shown_with_the_lines_that_use_it() -> None:
    async with Rig(stack="znp", devices=[]) as one, Rig(stack="ezsp", devices=[]) as other:
        outcome = await otagate("detect", one.path, other.path)
        assert (outcome.code, outcome.err) == (0, "")
        lines = [line.rstrip() for line in outcome.out.splitlines()]
        for name, rig, kind in (("zigbee0", one, "znp"), ("zigbee1", other, "ezsp")):
            at = lines.index(f"  - name: {name}")
            assert lines[at : at + 3] == [f"  - name: {name}", f"    type: {kind}", f"    path: {rig.path}"]


async def test_a_port_that_is_held_names_its_holder_and_is_exit_0() -> None:
    async with Rig(stack="znp", devices=[]) as rig, held(rig.path) as pid:
        outcome = await otagate("detect", rig.path, "--json")
        (port,) = outcome.document["ports"]
        assert (outcome.code, port["asked"], port["answers"]) == (0, False, None)
        assert [each["pid"] for each in port["holders"]] == [pid]
        assert f"({pid})" in (await otagate("detect", rig.path)).out


async def test_a_port_that_was_named_and_does_not_answer_is_exit_1() -> None:
    outcome = await otagate("detect", "/dev/serial/by-id/none", "--json")
    assert outcome.code == 1
    assert "does not exist" in outcome.document["ports"][0]["sentence"]


async def test_that_asking_restarts_a_stick_is_said_before_it_is_done() -> None:
    shown = " ".join((await otagate("detect", "--help")).out.split())
    assert "A port that somebody holds is not touched." in shown
    assert "restarts a Silicon Labs stick" in shown


async def test_without_a_name_only_sticks_on_usb_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Rig(stack="znp", devices=[]) as stick, Rig(stack="znp", devices=[]) as console:
        by_id = "/dev/serial/by-id/usb-Rig_1-if00"
        ports = [
            probe.Port(path=stick.path, device=stick.path, manufacturer="Rig", product="Stick\x1b[31m", serial_number="1"),
            probe.Port(path=console.path, device=console.path, usb=False),
        ]
        monkeypatch.setattr(probe, "list_ports", lambda: ports)
        outcome = await otagate("detect", "--json")
        assert [(each["answers"], each["asked"]) for each in outcome.document["ports"]] == [("znp", True), (None, False)]
        assert outcome.code == 0
        assert console.ncp.counters.bytes_in == 0
        shown = await otagate("detect")
        assert "Rig Stick" in shown.out
        assert "\x1b" not in shown.out
        ports[0] = probe.Port(path=by_id, device=stick.path)
        assert (await otagate("detect", stick.path, "--json")).document["ports"][0]["path"] == by_id


async def test_who_cannot_see_every_program_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("otagate.radios.holders._openers", lambda _: (set(), True))
    async with Rig(stack="znp", devices=[]) as rig:
        assert "sudo otagate detect" in (await otagate("detect", rig.path)).out
        (port,) = (await otagate("detect", rig.path, "--json")).document["ports"]
        assert (port["blind"], port["answers"]) == (True, "znp")


async def test_a_machine_without_ports_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "list_ports", list)
    outcome = await otagate("detect")
    assert (outcome.code, outcome.out) == (0, "No serial ports: is the stick plugged in?\n")
    assert (await otagate("--json", "detect")).document == {"ports": []}


async def test_the_ports_of_this_machine_can_be_listed() -> None:
    assert (await otagate("detect", "--json")).code == 0
