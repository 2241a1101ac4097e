"""The OTA session alone: one Image Block Request in, one response out, without a radio."""

from __future__ import annotations

import itertools
import statistics
import struct
import time

from hil.bench.rows import IMAGE_TYPE, MANUFACTURER_CODE, NEW_VERSION, ROWS
from otagate.model.ids import DeviceId, UpdateId, zigbee_component_id
from otagate.model.orders import Serve
from otagate.sessions.effects import Reply
from otagate.sessions.ota_transfer import Patience
from otagate.sessions.zigbee import OtaServer

_REPEATS = 9
_BLOCK = 64
_REQUEST = struct.Struct("<BBBBHHIIB")


def microseconds_per_block() -> float:
    """The median over nine whole downloads of 64 KiB. Raises RuntimeError where the session did not serve the image."""
    return statistics.median(_download(ROWS[0].image()) for _ in range(_REPEATS))


def _download(image: bytes) -> float:
    server = OtaServer(tokens=itertools.count(1), patience=Patience())
    order = Serve(
        update=UpdateId("bench"),
        device=DeviceId("zigbee-000d6f0000000001"),
        component=zigbee_component_id(IMAGE_TYPE),
        manufacturer_code=MANUFACTURER_CODE,
        image_type=IMAGE_TYPE,
        file_version=NEW_VERSION,
        image=memoryview(image),
        from_version=None,
        adopted="transferring",
    )
    server.command(order, 0.0)
    frames = [
        _REQUEST.pack(0x01, each & 0xFF, 0x03, 0, MANUFACTURER_CODE, IMAGE_TYPE, NEW_VERSION, offset, _BLOCK)
        for each, offset in enumerate(range(0, len(image), _BLOCK))
    ]
    answers = []
    began = time.perf_counter()
    for each, frame in enumerate(frames):
        answers.append(server.receive(frame, each * 0.01))
    seconds = time.perf_counter() - began
    served = b"".join(effect.frame[17:] for (effect,) in answers if isinstance(effect, Reply))
    if served != image:
        raise RuntimeError("the session served other bytes than the image")
    return seconds * 1_000_000 / len(frames)
