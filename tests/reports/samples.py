"""A report with something in every place, and names that hostile devices may have."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from otagate.reports.report import Attempt, Exemption, Item, Journal, Month, Report

BEGINS = datetime(2026, 5, 1, tzinfo=UTC)
HOSTILE = "=cmd|'/C calc'!A0 <script>alert(1)</script> \"quoted\", \u202egnp.exe\r\n+1"


def sample_report(**changes: Any) -> Report:
    lamp = Item(
        device="zigbee-000d6f000a9069e7",
        name="Hall lamp",
        room="Hall",
        manufacturer="LEDVANCE",
        model="LCT001",
        protocol="zigbee",
        component="0x1409",
        installed="0x01020600",
        newest="0x01020600",
        standing="current",
        last_seen=BEGINS,
        image="ab" * 32,
    )
    plug = replace(lamp, device="zwave-e1b2c3d4-12", name=HOSTILE, room=HOSTILE, component="0", standing="behind", why="It is pinned.", image="")
    made = Report(
        month=Month(year=2026, month=5),
        begins=BEGINS,
        ends=BEGINS + timedelta(days=31),
        made=BEGINS + timedelta(days=32),
        version="1.0",
        items=[lamp, plug, replace(plug, standing="unlisted"), Item(device="new", name="", room="", manufacturer="", model="", protocol="zigbee")],
        exemptions=[Exemption(kind="pin", device=plug.device, name=HOSTILE, what="only 1.6", reason=HOSTILE, by="token:anna", since=BEGINS)],
        attempts=[
            Attempt(
                update="u00000001",
                device=lamp.device,
                name="Hall lamp",
                component="0x1409",
                ordered_by="policy",
                approved_by="uid:1000",
                finished=BEGINS + timedelta(hours=2),
                started=BEGINS + timedelta(hours=1),
                seconds=3_600.0,
                from_version="0x01020509",
                to_version="0x01020600",
                image="ab" * 32,
                source="ledvance",
                retries=2,
                result="failed",
                failure="no block was asked for in 15 minutes (transfer-stalled)",
                fact=7,
            )
        ],
        journal=Journal(holds=True, sentence="The chain holds: facts 1 to 9 are as they were written.", last=9, chain="cd" * 32),
    )
    return replace(made, **changes)
