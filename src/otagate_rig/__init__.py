"""Simulated Zigbee hardware that speaks real bytes: NCPs over a pty or TCP, devices with an OTA client, an air model."""
