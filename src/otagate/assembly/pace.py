"""How patient a hub is."""

from __future__ import annotations

from dataclasses import dataclass, field

from otagate.engine.supervise import Backoff
from otagate.engine.waits import Waits
from otagate.policy.lease import Terms
from otagate.radios.interviews import FIRST_PAUSE
from otagate.sessions.delegated import Patience as CloudPatience
from otagate.sessions.ota_transfer import Patience
from otagate.sessions.zigbee2mqtt import Patience as Zigbee2mqttPatience
from otagate.sessions.zwave_patience import Patience as ZwavePatience


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How patient the hub is; simulated hardware that lives faster is given less time. In seconds: `listen` is for a coordinator on TCP,
    `interview` is until an interview that failed is held again. The `air` is so much faster than a real one.
    """

    patience: Patience = field(default_factory=Patience)
    zwave: ZwavePatience = field(default_factory=ZwavePatience)
    zwave_pace: float = 1.0
    zigbee2mqtt: Zigbee2mqttPatience = field(default_factory=Zigbee2mqttPatience)
    zigbee2mqtt_pace: float = 1.0
    cloud: CloudPatience = field(default_factory=CloudPatience)
    waits: Waits = field(default_factory=Waits)
    backoff: Backoff = field(default_factory=Backoff)
    lease: Terms = field(default_factory=Terms)
    listen: float = 3.0
    interview: float = FIRST_PAUSE
    air: float = 1.0

    @classmethod
    def scaled(cls, factor: float) -> Pace:
        """Everything `factor` times faster."""
        return cls(
            patience=Patience().scaled(factor),
            zwave=ZwavePatience().scaled(factor),
            zwave_pace=factor,
            zigbee2mqtt=Zigbee2mqttPatience().scaled(factor),
            zigbee2mqtt_pace=factor,
            cloud=CloudPatience().scaled(factor),
            waits=Waits().scaled(factor),
            backoff=Backoff(first=1.0 / factor, most=30.0 / factor, healthy=60.0 / factor),
            lease=Terms().scaled(factor),
            listen=3.0 / factor,
            interview=FIRST_PAUSE / factor,
            air=factor,
        )
