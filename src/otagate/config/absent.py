"""What an installation may lack: libraries that only some hubs need."""

from __future__ import annotations

from collections.abc import Mapping

RADIO_LIBRARIES: Mapping[str, str] = {"deconz": "zigpy_deconz", "xbee": "zigpy_xbee", "zigate": "zigpy_zigate"}
"""Type of a radio → the library that the extra of the same name installs."""

MQTT_LIBRARY = "aiomqtt"
"""What the extra `mqtt` installs."""
