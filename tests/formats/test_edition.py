"""The edition of the checks: what a stored image was told to be is told again when the checks say something else."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from otagate.formats.identify import CHECKS, identify
from otagate.model.errors import ImageError
from tests.formats import zwave_files
from tests.formats.images import build, element, ikea_container, legrand, samples
from tests.formats.inner import ikea, inner_samples

OUTCOMES = (2, "f4c275c7150380f0a0ee670e5a77b6b59b5a6313b95aa042de9dc9e9d8b57498")
"""The edition, and the digest of everything that its checks say of the files below."""


def files() -> Iterator[tuple[str, bytes]]:
    """A file of every kind with its name, sound and with one wrong bit near its end."""
    image = build(element(0, bytes(range(256)) * 10))
    sound = [("firmware.ota", each) for each in (*samples(), *inner_samples().values(), ikea_container(image), ikea(image), legrand(image))]
    sound += [
        ("firmware.hex", zwave_files.as_hex(zwave_files.IMAGE)),
        ("firmware.gbl", zwave_files.gbl()),
        ("firmware.exe", zwave_files.updater()),
        ("firmware.exe", zwave_files.updater(with_sum=False)),
        ("firmware.bin", zwave_files.IMAGE),
    ]
    for name, data in sound:
        yield name, data
        yield name, data[:-30] + bytes([data[-30] ^ 1]) + data[-29:]


def told(name: str, data: bytes) -> str:
    try:
        return repr(identify(data, 1 << 24, name).facts.checks)
    except ImageError as error:
        return repr(type(error))


def test_checks_that_say_something_else_are_another_edition() -> None:
    digest = hashlib.sha256("\n".join(told(name, data) for name, data in files()).encode()).hexdigest()
    assert (CHECKS, digest) == OUTCOMES, "the checks say something else than before: raise `identify.CHECKS`, and note its outcome here"


def test_the_files_of_the_edition_meet_every_check_and_every_result() -> None:
    said = [told(name, data) for name, data in files()]
    for name in ("header", "length", "elements", "contents", "integrity", "container"):
        assert any(f"name='{name}'" in each for each in said), name
    for result in ("pass", "fail", "unknown"):
        assert any(f"result='{result}'" in each for each in said), result
