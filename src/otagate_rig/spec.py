"""What a simulated device is: its description, and how it departs from the well-behaved client."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from otagate_rig.aps import DeviceKind

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviours:
    """How a client departs from the plain one; every default is the plain client. Times are seconds on the device's clock.

    Fractions are shares of the image that have been received.
    """

    misses: tuple[int, ...] = ()  # the first, second, ... answer of the server never reaches the client
    same_tsn: bool = False  # a retry repeats the ZCL sequence number
    duplicates: bool = False  # every OTA request goes out twice
    out_of_order: bool = False  # asks for every second block before the one in front of it
    tail_first: bool = False  # reads the end of the file before it begins
    overrun: bool = False  # asks once for the block at the end of the file before it ends the upgrade
    block_sizes: tuple[int, ...] = ()  # maximum data sizes used in turn, instead of the one of the device
    chokes_above: int | None = None  # a block with more data than this is lost on it
    refuses_short_blocks: bool = False  # ends the upgrade with INVALID_IMAGE at a block amid the file with less than it asked for
    page_size: int = 0  # bytes asked for with one Image Page Request; 0 asks block by block
    page_spacing: int = 20  # milliseconds
    page_cancels: bool = False  # asks for the next page once half of this one has come
    min_block_period: int | None = None  # sent in every block request and kept to
    block_period_unit: float = 0.001  # seconds that one unit of the period means to this client: old ones count seconds
    request_node_address: bool = False
    power_cut_at: tuple[float, ...] = ()
    power_cut_seconds: float = 5.0
    keeps_offset: bool = True  # over a power cut
    asks_again: bool = True  # by itself after a power cut
    queries_after_power_cut: bool = False  # with a query instead of the next block request
    stalls_at: tuple[float, ...] = ()
    stall_seconds: float = 20.0
    forgets_after_timeout: bool = False  # one unanswered block request starts the download again at 0
    gives_up_at: tuple[float, ...] = ()  # ends the upgrade with ABORT there, once each; the bytes stay
    verify_seconds: float = 0.0  # from the last block to the Upgrade End Request
    end_status: int | None = None  # reported in the Upgrade End Request whatever was verified
    end_without_download: bool = False  # answers an Image Notify with an Upgrade End Request, until that is refused
    lost_end_responses: int = 0  # Upgrade End Responses that never reach the client
    applies_by_itself: bool = False  # does not wait for the Upgrade End Response
    returns_with_old_version: bool = False
    returns_silently: bool = False  # comes back without a Device_annce
    refuses_offer: bool = False  # never asks for a block of the image that it was offered
    ignores_notify: bool = False
    asks_every: float | None = None  # queries by itself
    query_loop: bool = False  # one notify starts queries without an end
    query_loop_seconds: float = 5.0
    discovers_server: bool = False  # Match_Desc before the first query
    asks_as: tuple[int, int] | None = None  # manufacturer code and image type of its queries, where its attributes tell others
    tells_version: int | None = None  # told in queries and attributes, whatever runs
    true_version_at: tuple[int, int] | None = None  # cluster and attribute of its maker's own that tell what runs
    without_attributes: bool = False  # tells its identity and version in queries only
    forgets: tuple[str, ...] = ()  # with new firmware: groups, bindings, reporting, start_up, and switch (comes back the other way)
    for_good: bool = False  # what it forgot it takes from nobody again
    activation_policy: int | None = 0  # UpgradeActivationPolicy: 0 by the server, 1 out of band only; None has no such attribute
    timeout_policy: int | None = 0  # UpgradeTimeoutPolicy: 0 applies after a timeout, 1 does not; None has no such attribute
    checks_in: float | None = None  # Poll Control check-in interval of a sleepy device


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSpec:
    """A device of the rig; every value survives a round trip through JSON. Times are seconds on the device's clock."""

    ieee: int
    kind: DeviceKind = DeviceKind.ROUTER
    model: str = "Plug S"
    manufacturer: str = "Rig Works"
    manufacturer_code: int = 0x1189
    node_manufacturer_code: int | None = None  # in the node descriptor, where it is that of another brand
    image_type: int = 0x0083
    file_version: int = 0x01000000
    more_images: tuple[tuple[int, int], ...] = ()  # (image type, file version) of further processors, fetched before the upgrade (§11.13.9.2)
    hardware_version: int | None = None
    max_data_size: int = 63
    endpoint: int = 1
    hops: int = 1
    groups: tuple[int, ...] = ()
    bindings: tuple[tuple[int, int, int], ...] = ()  # (cluster, IEEE address, endpoint) of those that it is bound to
    reporting: tuple[tuple[int, int, int, int], ...] = ()  # (cluster, attribute, least and longest seconds) of what it reports
    start_up_on_off: int | None = None  # the attribute, where it has one
    switched_on: bool = False
    records_route: bool = False  # its frames bring a route record, so that the coordinator can use a source route
    aps_ack: bool = False  # asks for an APS ack on its OTA requests
    poll_interval: float = 7.5  # sleepy devices: while nothing is expected
    fast_poll_interval: float = 0.25  # sleepy devices: while an answer is awaited
    turnaround: float = 0.0  # from the receipt of a block to the request for the next
    request_timeout: float = 3.0
    request_retries: int = 10
    reboot_seconds: float = 5.0
    hold_interval: float = 3600.0  # between Upgrade End Requests while the server says "wait" (§11.13.9.6)
    digests: tuple[tuple[int, str], ...] = ()  # (file version, sha256 of the whole file) of images that the device can verify
    power_source: int | None = None  # Basic attribute 0x0007; by kind where it is None
    battery_percent: int = 100
    behaviours: Behaviours = field(default_factory=Behaviours)

    def to_json(self) -> dict[str, Any]:
        """Return the description as JSON values: the IEEE address as 16 hex digits, the kind by its name."""
        return {**dataclasses.asdict(self), "ieee": f"{self.ieee:016x}", "kind": self.kind.value}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> DeviceSpec:
        """Read what `to_json` wrote; keys may be missing. Raise ValueError that names an unknown key or a wrong value."""
        fields = dict(value)
        try:
            fields["ieee"] = int(str(fields["ieee"]).replace(":", ""), 16)
            fields["kind"] = DeviceKind(fields.get("kind", "router"))
            fields["behaviours"] = Behaviours(**{key: _frozen(item) for key, item in fields.get("behaviours", {}).items()})
            return cls(**{key: _frozen(item) for key, item in fields.items()})
        except (KeyError, TypeError) as error:
            raise ValueError(f"device description: {error}") from error


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value
