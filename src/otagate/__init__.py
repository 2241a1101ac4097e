"""otagate: brings firmware to Zigbee and Z-Wave devices."""

__version__ = "0.1.0"
