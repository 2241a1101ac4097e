"""Every call that the API promises and the scope that it wants, written down apart from the code; and a real address for each."""

from __future__ import annotations

from otagate.api.auth import Scope
from otagate.api.router import Route
from tests.api.counter import LAMP

UPDATE = "u0001"
IMAGE = "ab" * 32
ACTS: dict[str, Scope] = {
    "cancel": "operate",
    "pause": "operate",
    "resume": "operate",
    "retry": "operate",
    "approve": "approve",
    "activate": "operate",
}
STEERING: dict[str, Scope] = {"pause": "operate", "resume": "approve", "halt": "operate", "approve": "approve", "cancel": "operate"}
PROMISED: dict[tuple[str, str], Scope | None] = {
    ("GET", "/api/v1/openapi.json"): "read",
    ("GET", "/healthz"): None,
    ("GET", "/readyz"): None,
    ("GET", "/metrics"): "read",
    ("GET", "/api/v1/radios"): "read",
    ("POST", "/api/v1/radios/{}/permit-join"): "admin",
    ("POST", "/api/v1/radios/{}/backup"): "admin",
    ("POST", "/api/v1/radios/{}/pause"): "operate",
    ("POST", "/api/v1/radios/{}/resume"): "operate",
    ("POST", "/api/v1/radios/{}/reattach"): "admin",
    ("GET", "/api/v1/devices"): "read",
    ("GET", "/api/v1/devices/{}"): "read",
    ("PATCH", "/api/v1/devices/{}"): "operate",
    ("POST", "/api/v1/devices/{}/check"): "operate",
    ("GET", "/api/v1/devices/{}/releases"): "read",
    ("GET", "/api/v1/devices/{}/plan"): "read",
    ("GET", "/api/v1/plan"): "read",
    ("POST", "/api/v1/updates"): "operate",
    ("GET", "/api/v1/updates"): "read",
    ("GET", "/api/v1/updates/{}"): "read",
    ("PATCH", "/api/v1/updates/{}"): "operate",
    ("GET", "/api/v1/updates/{}/log"): "read",
    ("GET", "/api/v1/updates/{}/behaviour"): "read",
    **{("POST", f"/api/v1/updates/{{}}/{verb}"): scope for verb, scope in ACTS.items()},
    ("POST", "/api/v1/rollouts"): "operate",
    ("GET", "/api/v1/rollouts"): "read",
    ("GET", "/api/v1/rollouts/{}"): "read",
    **{("POST", f"/api/v1/rollouts/{{}}/{verb}"): scope for verb, scope in STEERING.items()},
    ("GET", "/api/v1/events"): "read",
    ("GET", "/api/v1/images"): "read",
    ("POST", "/api/v1/images"): "operate",
    ("GET", "/api/v1/images/{}"): "read",
    ("GET", "/api/v1/images/{}/content"): "read",
    ("DELETE", "/api/v1/images/{}"): "operate",
    ("GET", "/api/v1/handouts/{}"): None,
    ("GET", "/api/v1/sources"): "read",
    ("POST", "/api/v1/sources/{}/refresh"): "operate",
    ("GET", "/api/v1/sources/{}/records"): "read",
    ("GET", "/api/v1/notifiers"): "read",
    ("POST", "/api/v1/notifiers/{}/test"): "operate",
    ("POST", "/api/v1/activations"): "operate",
    ("GET", "/api/v1/journal"): "read",
    ("GET", "/api/v1/audit"): "read",
    ("GET", "/api/v1/audit/verify"): "read",
    ("GET", "/api/v1/report"): "read",
    ("GET", "/api/v1/report/key"): "read",
    ("GET", "/api/v1/windows"): "read",
    ("GET", "/api/v1/settings"): "read",
    ("GET", "/api/v1/caller"): "read",
    ("GET", "/api/v1/halt"): "read",
    ("POST", "/api/v1/halt"): "operate",
    ("DELETE", "/api/v1/halt"): "operate",
}

_NAMES = {"device_id": LAMP, "update_id": UPDATE, "rollout_id": "r000001", "sha256": IMAGE, "word": "nothing-lies-here"}


def anonymous(path: str) -> str:
    """A path of the route table as it stands in `PROMISED`."""
    return "/".join("{}" if part.startswith("{") else part for part in path.split("/"))


def _name_in(path: str) -> str:
    return next((name for noun, name in (("/sources/", "directory"), ("/notifiers/", "office")) if noun in path), "zigbee0")


def address(route: Route, *, image: str = IMAGE) -> str:
    """A path that the counter knows."""
    named = _NAMES | {"sha256": image, "name": _name_in(route.path)}
    return route.path.format(**named)


def title(route: Route) -> str:
    """What a test of this route is called."""
    return f"{route.method} {route.path}"
