"""What zigbee2mqtt 2.x publishes, as values: its devices, the state of an update, its answers. Whatever comes is bounded, and nothing of it trusted.

`bridge/devices` is retained and names no firmware identity: neither manufacturer code, nor image type, nor file version. The file version is in a
device's own state (`update.installed_version`), as the device told it in its last Query Next Image; after an update that is what the image promised.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from otagate.model.text import readable

MOST_DEVICES = 2_000
_LONGEST_NAME = 250
_LONGEST_TEXT = 200
_LONGEST_ERROR = 300
_MOST_ENDPOINTS = 64
_OTA_CLUSTER = "genOta"
_RELEASE = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})\.([0-9]{1,4})(?![0-9])")
_IEEE = re.compile(r"0x([0-9a-fA-F]{16})")
_ENDPOINT = re.compile(r"[0-9]{1,3}")
_NO_NAME = re.compile(r"[+#\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""What is in no topic, or in no text; zigbee2mqtt takes no such name either."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One device of `bridge/devices`. `name` is what its topic is called; `endpoint` carries its OTA client, None where it has none."""

    ieee: int
    name: str
    model: str | None = None
    manufacturer: str | None = None
    battery: bool = False
    sleepy: bool = False
    endpoint: int | None = None
    build: str | None = None
    interviewed: bool = True


Stage = Literal["idle", "available", "scheduled", "updating"]


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateState:
    """What a device's state says of its firmware. `progress` in percent; versions are 32-bit file versions."""

    stage: Stage
    progress: float | None = None
    installed: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One state of a device: `battery` in percent, `linkquality` of 0 to 255, and what it says of its firmware."""

    update: UpdateState | None = None
    battery: int | None = None
    linkquality: int | None = None


Failure = Literal["busy", "unknown", "silent", "image", "stalled", "aborted", "refused", "other"]
"""Why a request failed: something is under way there; it knows no such device; the device did not ask; the image was not to be had or not wanted;
the device stopped asking; it was aborted at somebody's word; the device ended the upgrade with a status."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The answer to a request: `transaction` as it was asked with. Of a check that went well, `source` is the address of the entry that fits."""

    transaction: str
    failure: Failure | None = None
    error: str = ""
    source: str | None = None


def read_online(payload: bytes) -> bool | None:
    """Whether `bridge/state`, or a device's availability, says online; None for anything else."""
    document = _document(payload)
    state = document.get("state") if isinstance(document, Mapping) else payload.decode("utf-8", "replace")
    return {"online": True, "offline": False}.get(state) if isinstance(state, str) else None


def read_release(payload: bytes) -> tuple[int, int, int] | None:
    """Which zigbee2mqtt it is, of `bridge/info`; None where that does not say."""
    document = _document(payload)
    told = document.get("version") if isinstance(document, Mapping) else None
    found = _RELEASE.match(told) if isinstance(told, str) else None
    return None if found is None else (int(found[1]), int(found[2]), int(found[3]))


def read_devices(payload: bytes) -> Sequence[Peer] | None:
    """The devices of `bridge/devices` but for the coordinator and those that are switched off there; None where it is no such list."""
    document = _document(payload)
    if not isinstance(document, list):
        return None
    found = (_peer(each) for each in document[:MOST_DEVICES] if isinstance(each, Mapping))
    return list({each.ieee: each for each in found if each is not None}.values())


def read_reading(payload: bytes) -> Reading:
    """What a state topic says of the device; nothing where it is no object."""
    document = _document(payload)
    told = document if isinstance(document, Mapping) else {}
    return Reading(update=_update(told.get("update")), battery=_whole(told.get("battery"), 100), linkquality=_whole(told.get("linkquality"), 255))


def _update(told: object) -> UpdateState | None:
    if not isinstance(told, Mapping) or (stage := _stage(told.get("state"))) is None:
        return None
    return UpdateState(stage=stage, progress=_percent(told.get("progress")), installed=_whole(told.get("installed_version"), 0xFFFFFFFF))


def read_answer(payload: bytes) -> Answer | None:
    """One answer below `bridge/response/device/ota_update`; None for one to a request without a transaction, which is not ours."""
    document = _document(payload)
    if not isinstance(document, Mapping) or (transaction := _text(document.get("transaction"))) is None:
        return None
    if document.get("status") == "ok":
        data = document.get("data")
        source = data.get("source") if isinstance(data, Mapping) else None
        return Answer(transaction=transaction, source=source if isinstance(source, str) and len(source) <= 2_000 else None)
    error = document.get("error")
    said = error if isinstance(error, str) and error.strip() else "it gave no reason"
    told = " ".join("(an address)" if "://" in each else each for each in said.split())[:_LONGEST_ERROR]  # of ours the last word is a key
    return Answer(transaction=transaction, failure=_failure(told), error=told)


def read_event(payload: bytes) -> tuple[str, int] | None:
    """The type and the device of one `bridge/event`; None where it is about no device."""
    document = _document(payload)
    data = document.get("data") if isinstance(document, Mapping) else None
    ieee = _ieee(data.get("ieee_address")) if isinstance(data, Mapping) else None
    kind = _text(document.get("type")) if isinstance(document, Mapping) else None
    return None if ieee is None or kind is None else (kind, ieee)


_FAILURES: Sequence[tuple[str, Failure]] = (  # zigbee2mqtt 2.14 (lib/extension/otaUpdate.ts), zigbee-herdsman 10.9 (controller/model/device.ts)
    ("already in progress", "busy"),
    ("does not exist", "unknown"),
    ("didn't respond to ota request", "silent"),
    ("was aborted", "aborted"),
    ("failed with reason", "refused"),
    ("did not start/finish", "stalled"),
    ("no image currently available", "image"),
    ("fetch failed", "image"),
    ("invalid response from", "image"),
)


def _failure(error: str) -> Failure:
    """What zigbee2mqtt's sentence comes to: it has no codes."""
    said = error.lower()
    return next((kind for words, kind in _FAILURES if words in said), "other")


def _document(payload: bytes) -> Any:
    try:
        return json.loads(payload)
    except (ValueError, RecursionError):
        return None


def _peer(entry: Mapping[str, Any]) -> Peer | None:
    ieee, name = _ieee(entry.get("ieee_address")), entry.get("friendly_name")
    if ieee is None or not isinstance(name, str) or not 1 <= len(name) <= _LONGEST_NAME or _NO_NAME.search(name):
        return None
    if entry.get("type") == "Coordinator" or entry.get("disabled") is True:
        return None
    battery = "battery" in str(entry.get("power_source")).lower()
    return Peer(
        ieee=ieee,
        name=name,
        model=_text(entry.get("model_id")),
        manufacturer=_text(entry.get("manufacturer")),
        battery=battery,
        sleepy=battery and entry.get("type") == "EndDevice",
        endpoint=_ota_endpoint(entry.get("endpoints")),
        build=_text(entry.get("software_build_id")),
        interviewed=entry.get("interview_state", "SUCCESSFUL") == "SUCCESSFUL" and entry.get("interview_completed") is not False,
    )


def _ota_endpoint(endpoints: object) -> int | None:
    if not isinstance(endpoints, Mapping):
        return None
    for number, each in list(endpoints.items())[:_MOST_ENDPOINTS]:
        clusters = each.get("clusters") if isinstance(each, Mapping) else None
        output = clusters.get("output") if isinstance(clusters, Mapping) else None
        if isinstance(output, list) and _OTA_CLUSTER in output and _ENDPOINT.fullmatch(number) and int(number) <= 0xFF:
            return int(number)
    return None


def _stage(told: object) -> Stage | None:
    match told:
        case "idle" | "available" | "scheduled" | "updating":
            return told
        case _:
            return None


def _ieee(told: object) -> int | None:
    found = _IEEE.fullmatch(told) if isinstance(told, str) else None
    return None if found is None else int(found[1], 16)


def _text(told: object) -> str | None:
    return readable(told, longest=_LONGEST_TEXT)


def _whole(told: object, most: int) -> int | None:
    return told if isinstance(told, int) and not isinstance(told, bool) and 0 <= told <= most else None


def _percent(told: object) -> float | None:
    return float(told) if isinstance(told, (int, float)) and not isinstance(told, bool) and 0 <= told <= 100 else None
