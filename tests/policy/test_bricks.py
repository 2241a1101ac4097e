"""Devices that died of an update, elsewhere: each is refused here, with the reason that a person needs."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from otagate.formats.identify import identify
from otagate.model.devices import Component, Device, ZwaveNode
from otagate.model.errors import Malformed
from otagate.model.ids import DeviceId, zigbee_component_id, zwave_component_id
from otagate.model.releases import Fingerprint, Release
from otagate.model.verdicts import Verdict
from otagate.policy.casebook import Casebook
from otagate.policy.judge import judge
from otagate.policy.settings import PolicySettings
from otagate.quirks.advisories import load_advisories
from tests.policy.cases import component, device, release

IMAGES = Path(os.environ.get("OTAGATE_TEST_DATA", "../shared/data")) / "zigbee-images"
KNOWN = Casebook(advisories=load_advisories())


def forced(whose: Device, which: Component, offered: Release) -> Verdict:
    """The answer to an order with every right."""
    return judge(
        whose, which, offered, settings=PolicySettings(mode="automatic"), casebook=KNOWN, operator=True, force=True, override=("quarantined",)
    )


def zigbee(code: int, image_type: int, manufacturer: str, model: str) -> tuple[Device, Component, Release]:
    which = component(id=zigbee_component_id(image_type), manufacturer_code=code, image_type=image_type)
    return device(manufacturer=manufacturer, model=model), which, release(manufacturer_code=code, image_type=image_type)


def zwave(product: tuple[int, int, int], version: str, region: str = "europe", **of_node: bool) -> tuple[Device, Component, Release]:
    which = Component(id=zwave_component_id(0), version="1.0")
    node = ZwaveNode(product_type=product[1], product_id=product[2], region=region, **of_node)
    whose = Device(id=DeviceId("zwave-1-2"), radio=None, protocol="zwave", manufacturer_code=product[0], node=node, components=(which,))
    prints = (Fingerprint(manufacturer_id=product[0], product_type=product[1], product_id=product[2]),)
    return whose, which, Release(source="service", protocol="zwave", file_version=version, size=1, target=0, fingerprints=prints)


IBLINDS = (0x0287, 0x0004, 0x0072)
JASCO = (0x0063, 0x4944, 0x3131)
PLUG = zigbee(0x117C, 0x1101, "IKEA of Sweden", "Plug")


@pytest.mark.parametrize(
    ("case", "reason", "told"),
    [
        (zigbee(0x117C, 8704, "IKEA of Sweden", "Lamp"), "advisory", "left lamps dead"),
        (zigbee(0x117C, 8710, "IKEA of Sweden", "Lamp"), "advisory", "left lamps dead"),
        (zigbee(0x1002, 54179, "_TZE200_b6wax7g0", "TS0601"), "advisory", "for another revision"),
        (zigbee(0x1224, 1, "Candeo", "HK-DIM-A"), "advisory", "Candeo C202"),
        (zwave(IBLINDS, "3.14"), "advisory", "North America alone"),
        (zwave(JASCO, "5.24", "usa"), "advisory", "off the network after this release"),
        (zwave((0x0466, 1, 1), "2.0", controller=True), "image_mismatch", "The controller itself"),
        ((*PLUG[:2], replace(PLUG[2], models=("Other plug",))), "image_mismatch", "is for model 'Other plug', the device is 'Plug'"),
        (
            (PLUG[0], replace(PLUG[1], inner_format="silabs-gbl"), replace(PLUG[2], inner_format="telink")),
            "image_mismatch",
            "it is made for another chip",
        ),
    ],
)
def test_what_has_killed_devices_is_refused_whoever_orders_it(case: tuple[Device, Component, Release], reason: str, told: str) -> None:
    verdict = forced(*case)
    assert (verdict.decision, verdict.reason) == ("refuse", reason)
    assert told in verdict.sentence


@pytest.mark.parametrize(
    "case",
    [
        zigbee(0x117C, 16900, "IKEA of Sweden", "Lamp"),
        zigbee(0x1002, 54179, "_TZE200_other", "TS0601"),
        zigbee(0x1224, 1, "Candeo", "C204"),
        zwave(IBLINDS, "3.14", "usa (long range)"),
        zwave(IBLINDS, "4.0"),
        zwave(JASCO, "5.25", "usa"),
    ],
)
def test_what_stands_beside_it_is_allowed(case: tuple[Device, Component, Release]) -> None:
    assert forced(*case).allowed


@pytest.mark.skipif(not IMAGES.is_dir(), reason=f"no real images in {IMAGES}")
def test_no_ordinary_image_is_refused_to_its_own_device() -> None:
    entries = json.loads((IMAGES / "manifest.json").read_text(encoding="utf-8"))
    files = [each for each in IMAGES.iterdir() if each.suffix != ".json"]
    assert len(files) == 12, entries
    for file in files:
        facts = identify(file.read_bytes(), 1 << 24, file.name).facts
        assert facts.manufacturer_code is not None
        assert facts.image_type is not None
        whose, which, offered = zigbee(facts.manufacturer_code, facts.image_type, "Maker", "Model")
        which = replace(which, version=0, inner_format=facts.inner_format)
        assert forced(whose, which, replace(offered, file_version=facts.file_version, inner_format=facts.inner_format)).allowed, file.name
        with pytest.raises(Malformed):  # one of another length than it says
            identify(file.read_bytes()[:-100_000], 1 << 24, file.name)
