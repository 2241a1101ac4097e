"""Tables for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from otagate.cli.grid import Grid
from otagate.cli.stops import sentence_of
from otagate.cli.words import duration, number, plain, reason_words, size, yes

STYLES = {
    "succeeded": "green",
    "updated": "green",
    "up": "green",
    "ok": "green",
    "pass": "green",
    "failed": "red",
    "fail": "red",
    "cancelled": "yellow",
    "superseded": "yellow",
    "available": "cyan",
}


def cell(text: object, *, style: str = "") -> Text:
    """One cell of a table, harmless to a terminal; None is empty."""
    return Text("" if text is None else plain(text), style=style)


def wanted(update: Mapping[str, Any]) -> Text:
    """The version that an update brings, or that its source names none."""
    version = update["to_display_version"]
    return cell("not named", style="dim") if version is None else cell(f"{version}{step_of(update)}")


def step_of(update: Mapping[str, Any]) -> str:
    """Which step of its job an update is, to be put behind its version; nothing where it is the only one."""
    return f" (step {update['step']} of {update['steps']})" if update.get("steps", 1) > 1 else ""


def state(word: object) -> Text:
    """A state in its colour."""
    return cell(word, style=STYLES.get(str(word), ""))


def table(console: Console, *columns: str, empty: str = "") -> Table:
    """An empty table; `empty` is said where it stays so."""
    return Grid(console, *columns, empty=empty or f"No {columns[0].lower()}.")


def moment(text: str | None) -> str:
    """A moment in local time, to the second."""
    return "" if text is None else datetime.fromisoformat(text).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def devices(console: Console, items: Iterable[Mapping[str, Any]]) -> Table:
    """Devices, one line for each of their components."""
    made = table(
        console, "Device", "Name", "Model", "Component", "Version", "Available", "Status", "Power", "Online", empty="No device is known yet."
    )
    for each in items:
        row = [cell(each["id"]), cell(each["name"]), cell(_model(each))]
        rest = [state(each["update_status"]), cell(_power(each)), cell(yes(each["online"]))]
        for part in each["components"] or [{"id": "", "display_version": "not read yet", "available": None}]:
            available = part["available"]
            made.add_row(*row, cell(part["id"]), cell(part["display_version"]), cell(available and available["display_version"]), *rest)
    return made


def adopted(console: Console, items: Iterable[Mapping[str, Any]]) -> Table:
    """Devices that were, or would be, taken over from another program."""
    made = table(console, "Device", "Name", "Room", "Groups", "Model", "Outcome")
    for each in items:
        told = [each["id"], each["name"], each["room"], ", ".join(each["groups"]), _model(each), each["outcome"]]
        made.add_row(*(cell(value) for value in told))
    return made


def _model(device: Mapping[str, Any]) -> str:
    return " ".join(str(part) for part in (device["manufacturer"], device["model"]) if part)


def _power(device: Mapping[str, Any]) -> str:
    charge = device.get("battery_percent")
    return device["power"] if charge is None else f"{device['power']} {charge} %"


def releases(console: Console, items: Iterable[Mapping[str, Any]]) -> Table:
    """What sources offer for a device."""
    made = table(console, "Component", "Version", "Source", "Channel", "Size", "Taken?", "Why", empty="No source offers anything for it.")
    for each in items:
        release, verdict = each["release"], each["verdict"]
        made.add_row(
            cell(each["component"]),
            cell(release["display_version"]),
            cell(release["source"]),
            cell(release["channel"]),
            cell(size(release["size"]) if release["size"] else None),
            cell(verdict["decision"]),
            cell(verdict["sentence"]),
        )
    return made


def updates(console: Console, items: Iterable[Mapping[str, Any]]) -> Table:
    """Updates, one line each."""
    made = table(console, "Update", "Device", "Component", "From", "To", "State", "Progress", "Time left", "Note")
    for each in items:
        progress = each["progress"]
        made.add_row(
            cell(each["id"]),
            cell(each["device"]),
            cell(each["component"]),
            cell(each["from_display_version"]),
            wanted(each),
            state(each["state"]),
            cell(f"{progress['percent']:.0f} %"),
            cell(duration(progress["eta_seconds"])),
            cell(note(each)),
        )
    return made


def order_of(update: Mapping[str, Any]) -> dict[str, object]:
    """What was ordered with an update, and when it went on; what there is none of is empty."""
    return {
        "ordered": f"{moment(update['created'])} by {update['actor']}",
        "because": update["because"],
        "overrules": "everything that may be" if update["force"] else ", ".join(update["override"]),
        "approved by": update["approved_by"],
        "priority": "" if update["priority"] == "normal" else update["priority"],
        "began": moment(update["started"]),
        "ended": moment(update["finished"]),
        "attempts": update["attempts"] if update["attempts"] > 1 else "",
        "source": update["source"],
        "image": update["image"],
        "rollout": update["rollout"],
    }


def note(update: Mapping[str, Any]) -> str:
    """Why an update waits, why it failed, or what it cost."""
    if update["error"]:
        return sentence_of(update["error"])
    lost = (update.get("behaviour") or {}).get("lost")
    return f"lost: {', '.join(lost)}" if lost else update.get("sentence") or reason_words(update["reason"])


def images(console: Console, items: Iterable[Mapping[str, Any]]) -> Table:
    """Stored images."""
    made = table(console, "SHA-256", "File", "Maker", "Type", "Version", "Size", "Checks", empty="No image is stored.")
    for each in items:
        failed = [check["name"] for check in each["checks"] if check["result"] == "fail"]
        made.add_row(
            cell(each["sha256"] if not console.is_terminal else each["sha256"][:16]),
            cell(each["file_name"]),
            cell(number(each["manufacturer_code"])),
            cell(number(each["image_type"])),
            cell(each["display_version"]),
            cell(size(each["bytes"])),
            cell(f"failed: {', '.join(failed)}", style="red") if failed else cell("good", style="green"),
        )
    return made


def radios(console: Console, items: Iterable[Mapping[str, Any]]) -> Table:
    """Radios."""
    made = table(console, "Radio", "Type", "State", "Devices", "Transfers", "What it says")
    for each in items:
        transfers = f"{each['transfers']} of {each['parallel']}"
        sentence = each["sentence"]
        if each["paused"]:
            why = f": {each['paused']['because']}" if each["paused"]["because"] else ""
            sentence = f"paused by {each['paused']['actor']} since {moment(each['paused']['since'])}{why}; {sentence}"
        made.add_row(cell(each["name"]), cell(each["type"]), state(each["state"]), cell(each["devices"]), cell(transfers), cell(sentence))
    return made


def sources(console: Console, items: Iterable[Mapping[str, Any]]) -> Table:
    """Sources."""
    made = table(console, "Source", "Type", "State", "Releases", "Last read", "Next", "Left", "What it says")
    for each in items:
        made.add_row(
            cell(each["name"]),
            cell(each["type"]),
            state(each["state"]),
            cell(each["releases"]),
            cell(moment(each["last_success"])),
            cell(moment(each["next_refresh"])),
            cell(_left(each)),
            cell(each["sentence"]),
        )
    return made


def _left(source: Mapping[str, Any]) -> str | None:
    """What may be asked of a source now: calls, and bytes where these are limited too."""
    calls, quotas = source["quota_left"], [each["left"] for each in source["quotas"] if each["of"] == "bytes"]
    if calls is None:
        return None
    return f"{calls} calls, {size(min(quotas))}" if quotas else f"{calls} calls"


def notifiers(console: Console, items: Iterable[Mapping[str, Any]]) -> Table:
    """Who is told what happens."""
    made = table(
        console,
        "Receiver",
        "Type",
        "Told from",
        "State",
        "Waiting",
        "Last told",
        "What it says",
        empty="Nobody is told: there is no notify in the configuration.",
    )
    for each in items:
        made.add_row(
            cell(each["name"]),
            cell(each["type"]),
            cell(each["severity"]),
            state(each["state"]),
            cell(each["waiting"]),
            cell(moment(each["last_delivered"])),
            cell(each["sentence"]),
        )
    return made


def windows(console: Console, items: Iterable[Mapping[str, Any]]) -> Table:
    """Windows, with one line for each opening to come."""
    made = table(console, "Window", "Open", "Opens", "Closes", "At its end", empty="No window: updates may use the air at any time.")
    for each in items:
        for row, opening in enumerate(each["openings"]):
            now = each["open"] and row == 0
            made.add_row(
                cell(each["name"]), cell("now" if now else None), *(cell(moment(opening[key])) for key in ("begins", "ends")), cell(opening["at_end"])
            )
        if not each["openings"]:
            made.add_row(cell(each["name"]), cell("never again"), cell(None), cell(None), cell(None))
    return made


def records(console: Console, items: Iterable[Mapping[str, Any]]) -> Table:
    """What a service itself recorded."""
    made = table(console, "Device", "Name", "Status", "Version", "When", "Detail", empty="The service has no record of it.")
    for each in items:
        detail = ", ".join(f"{name} {value}" for name, value in each["details"].items())
        row = [cell(each["device"]), cell(each["name"]), state(each["status"]), cell(each["version"]), cell(moment(each["at"])), cell(detail)]
        made.add_row(*row)
    return made


def rollouts(console: Console, items: Iterable[Mapping[str, Any]]) -> Table:
    """Rollouts, one line each."""
    made = table(console, "Rollout", "Name", "State", "Waves open", "Devices", "Succeeded", "Failed", "What it says")
    for each in items:
        waves = each["waves"]
        opened = f"{sum(wave['opened'] is not None for wave in waves)} of {len(waves)}"
        counts = [cell(sum(wave[word] for wave in waves)) for word in ("succeeded", "failed")]
        devices = cell(sum(len(wave["devices"]) for wave in waves))
        made.add_row(cell(each["id"]), cell(each["name"]), state(each["state"]), cell(opened), devices, *counts, cell(each["sentence"]))
    return made


def waves(console: Console, items: Iterable[Mapping[str, Any]]) -> Table:
    """The waves of a rollout."""
    made = table(console, "Wave", "State", "Devices", "Succeeded", "Failed", "Excused", "To come", "Must succeed", "May fail", "Soak", "Gate")
    for each in items:
        counts = [cell(each[word]) for word in ("succeeded", "failed", "excused", "pending")]
        bounds = [cell(f"{each['success']:.0%}"), cell(f"{each['error']:.0%}"), cell(each["soak"]), cell(each["gate"])]
        made.add_row(cell(each["number"]), state(each["state"]), cell(len(each["devices"])), *counts, *bounds)
    return made


def history(console: Console, items: Iterable[Mapping[str, Any]], names: Mapping[str, str]) -> Table:
    """Updates that ended; `names` of their devices."""
    made = table(console, "Ended", "Update", "Device", "Component", "From", "To", "How", "By order of", "Took", "Note", empty="No update has ended.")
    for each in items:
        made.add_row(
            cell(moment(each["finished"])),
            cell(each["id"]),
            cell(names.get(each["device"]) or each["device"]),
            cell(each["component"]),
            cell(each["from_display_version"]),
            wanted(each),
            state(each["state"]),
            cell(each["actor"]),
            cell(duration(_seconds(each["started"], each["finished"]))),
            cell(note(each) or each["because"]),
        )
    return made


def _seconds(begin: str | None, end: str | None) -> float | None:
    return None if begin is None or end is None else (datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds()


def journal(console: Console, items: Iterable[Mapping[str, Any]]) -> Table:
    """Lines of the journal of the whole hub."""
    made = table(console, "When", "Whose", "What", "Who", "Detail", empty="Nothing is written of it.")
    for each in items:
        made.add_row(
            cell(moment(each["at"])), cell(f"{each['subject']} {each['subject_id']}"), cell(each["kind"]), cell(each["actor"]), cell(_detail(each))
        )
    return made


def _detail(fact: Mapping[str, Any]) -> str:
    data = fact["data"]
    if fact["subject"] == "update":
        told = (data.get("detail"), data.get("because"), reason_words(data.get("reason")))
        return str(next((each for each in told if each), ""))
    return ", ".join(f"{name} {value}" for name, value in data.items() if value is not None)


def facts(console: Console, items: Iterable[Mapping[str, Any]]) -> Table:
    """Lines of the journal."""
    made = table(console, "When", "What", "Who", "Detail", empty="Nothing is written of it.")
    for each in items:
        made.add_row(cell(moment(each["at"])), cell(each["kind"]), cell(each["actor"]), cell(_detail(each)))
    return made


def pairs(console: Console, items: Mapping[str, object]) -> Table:
    """One object: names and values, without those that are empty."""
    made = Table(box=None, show_header=False, pad_edge=False)
    made.add_column(style="bold" if console.is_terminal else "", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in items.items():
        if value not in {None, ""}:
            made.add_row(cell(name), cell(value))
    return made
