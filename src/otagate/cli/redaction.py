"""What of a hub may leave it in a support bundle: fields by an allow-list, and text without addresses, names and anything that looks like a key."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

Shape = Literal["text", "digest"] | Mapping[str, Any]
"""`text` is a scalar or a list of scalars, `digest` a SHA-256 or text; a mapping allows these fields of an object, or of each object of a list."""

MOST_TEXT, MOST_ITEMS = 1000, 2000
_URL = re.compile(r"\b([a-z][a-z0-9+.-]{1,15})://(?:[^\s/?#@]*@)*([^\s/?#@,;)'\"]*)[^\s,;)'\"]*", re.IGNORECASE)
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_HOME = re.compile(r"/home/[^/\s]+")
_IEEE = re.compile(r"(?<![0-9a-z])(?:0x)?((?:[0-9a-f]{2}[:-]){7}[0-9a-f]{2}|[0-9a-f]{16})(?![0-9a-z:])", re.IGNORECASE)
_ZWAVE = re.compile(r"\bzwave-([0-9a-f]{8})-(\d+)\b", re.IGNORECASE)
_BYTES = re.compile(
    r"(?<![0-9a-z])[0-9a-f]{2}(?:[ :,-]{1,2}[0-9a-f]{2}){8,}|\d{1,3}(?:, ?\d{1,3}){15,}|(?:\\x[0-9a-f]{2}[^\\\s]{0,4}){4,}", re.IGNORECASE
)
"""Bytes as libraries write them, more than an address has: looked for before addresses, which would else be seen in their halves."""

_RUN = re.compile(r"[\w+=-]{24,}")
"""What is longer than any id of ours, as tokens and keys are."""

_DIGEST = re.compile(r"[0-9a-f]{64}")
_HIDDEN = "[hidden]"


def fields(names: str, **nested: Shape) -> Mapping[str, Shape]:
    """A shape: these fields as text, and those that are something else."""
    return {**dict.fromkeys(names.split(), "text"), **nested}


_RULES = (
    "default channel cooldown battery_floor lqi_floor rssi_floor load_limit retries window approval_expires spare_in_use interlocks alive_for"
    " silent_for asleep_for behaviour quarantine_after offline"
)
CONFIGURATION: Final = fields(
    "state_dir",
    api=fields("listen", tokens=fields("scopes")),
    radios=fields("name type path url region network baudrate flow_control parallel air_share channel"),
    sources=fields("name type url path refresh api api_url ota_url"),
    http=fields("allow_private"),
    store=fields("keep_facts copy_every keep_copies"),
    schedule=fields("interrogate"),
    images=fields("max_bytes path"),
    policy=fields(_RULES, rules={"match": fields("model manufacturer radio"), "use": fields(_RULES)}),
    windows=fields("name days from to zone when until at_end"),
    interlocks=fields("name max_age"),
    notify=fields("name type url severity", quiet=fields("from to zone")),
    mqtt=fields("url base_topic home_assistant discovery scopes"),
    logging=fields("level format"),
)
_PROBLEM = fields("type status title detail retry")
RADIOS: Final = fields("name type state sentence devices transfers parallel", error=_PROBLEM)
SOURCES: Final = fields("name type state sentence last_success next_refresh quota_left skipped_count releases", error=_PROBLEM)
NOTIFIERS: Final = fields("name type severity state sentence waiting last_delivered")
DEVICES: Final = fields(
    "id name radio protocol manufacturer model power battery_percent online last_seen last_checked update_status",
    components=fields("id version display_version"),
)
HEALTH: Final = fields("ready store mqtt", radios=fields("name state sentence"))
HALT: Final = fields("halted since")
FINDINGS: Final = fields("check result sentence remedy")
FACTS: Final = fields(
    "number at subject kind",
    subject_id="digest",
    data=fields(
        "state device component from_version to_version bytes_sent bytes_total reason detail error override"
        " sentence bytes online model versions after first",
        image="digest",
    ),
)
METRIC_LABELS: Final = frozenset(
    {"version", "radio", "online", "type", "state", "reason", "code", "source", "of", "seconds", "generation", "le", "notifier"}
)


class Redaction:
    """The one cleaning of one bundle: whoever is called `device-3` in one of its files is so in all of them.

    `devices` are the ids and names that are known, and count from 1 in the order of their ids. With `names` devices keep their ids and names;
    what looks like a secret is hidden all the same.
    """

    def __init__(self, devices: Iterable[tuple[str, str]], *, names: bool = False) -> None:
        self._names = names
        self._numbers: dict[str, int] = {}
        known: dict[str, str] = {}
        for device, name in sorted(devices):
            stands_for = self._pseudonym(_canonical(device))
            known.setdefault(name.casefold(), f"{stands_for}-name")
            known[device.casefold()] = stands_for
        known.pop("", None)
        self._known = known
        longest_first = sorted(known, key=len, reverse=True)
        self._spoken = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)", re.IGNORECASE) if known else None

    def allowed(self, value: Any, shape: Shape) -> Any:
        """What of a value has this shape, cleaned; None where nothing of it has."""
        if isinstance(value, list | tuple):
            return [self.allowed(each, shape) for each in value[:MOST_ITEMS]]
        if isinstance(shape, Mapping):
            if not isinstance(value, Mapping):
                return None
            return {name: self.allowed(value[name], each) for name, each in shape.items() if name in value}
        if isinstance(value, str):
            return value if shape == "digest" and _DIGEST.fullmatch(value) else self.text(value)
        return value if value is None or isinstance(value, bool | int | float) else None

    def text(self, text: str) -> str:
        """Text without credentials, paths of URLs, addresses, names and keys."""
        if len(text) > 2 * MOST_TEXT:
            text = text[: 2 * MOST_TEXT].rpartition(" ")[0]  # half a key would not look like one
        said = _HOME.sub("/home/-", _EMAIL.sub(_HIDDEN, _URL.sub(r"\1://\2/", text)))
        said = _BYTES.sub(_HIDDEN, said)
        if not self._names:
            said = self._pseudonymous(said)
        return _RUN.sub(_HIDDEN, said)[:MOST_TEXT]

    def _pseudonymous(self, said: str) -> str:
        if self._spoken is not None:
            said = self._spoken.sub(lambda found: self._known.get(found[0].casefold(), _HIDDEN), said)
        said = _ZWAVE.sub(lambda found: self._pseudonym(found[0].lower()), said)
        return _IEEE.sub(lambda found: self._pseudonym(_canonical(found[1])), said).replace("zigbee-device-", "device-")

    def metrics(self, text: str) -> str:
        """Prometheus text with the hub's own samples and the process', and of their labels those that are allowed."""
        from prometheus_client.parser import text_string_to_metric_families

        lines = []
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name.startswith(("otagate_", "process_", "python_")):
                    labels = ",".join(f'{name}="{self.text(value)}"' for name, value in sample.labels.items() if name in METRIC_LABELS)
                    lines.append(f"{sample.name}{{{labels}}} {sample.value}\n")
        return "".join(lines)

    def _pseudonym(self, canonical: str) -> str:
        return f"device-{self._numbers.setdefault(canonical, len(self._numbers) + 1)}"


def _canonical(device: str) -> str:
    """A device by its address alone, so that `zigbee-…`, `0x…` and the form with colons are one."""
    return re.sub(r"[:-]", "", device.lower().removeprefix("zigbee-")) if _IEEE.fullmatch(device.lower().removeprefix("zigbee-")) else device.lower()
