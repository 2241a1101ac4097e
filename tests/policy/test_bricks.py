"""Devices that died of an update, elsewhere: each is refused here, with the reason that a person needs; and no ordinary image is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from otagate.formats.identify import identify
from otagate.model.devices import Component, Device, ZwaveNode
from otagate.model.errors import Malformed
from otagate.model.ids import DeviceId, Sha256, zigbee_component_id, zigbee_device_id, zwave_component_id
from otagate.model.images import ImageFacts
from otagate.model.releases import Fingerprint, Release
from otagate.model.verdicts import Verdict
from otagate.model.versions import version_key
from otagate.policy.casebook import Casebook
from otagate.policy.judge import judge
from otagate.policy.match import match
from otagate.policy.plan import choose
from otagate.policy.settings import PolicySettings
from otagate.policy.trust import narrow, trust
from otagate.quirks.advisories import load_advisories
from otagate.sources.index import read_zigbee2mqtt
from tests.formats.images import build, element
from tests.formats.inner import gbl, telink
from tests.formats.real_images import DATA, MISSING, manifest
from tests.policy.cases import DIGEST_A, DIGEST_B, NOW, component, device, failed, release

KNOWN = Casebook(advisories=load_advisories())
AUTOMATIC = PolicySettings(mode="automatic", cooldown=timedelta(0))
LIMIT = 1 << 24


def forced(whose: Device, which: Component, offered: Release, casebook: Casebook = KNOWN) -> Verdict:
    """The answer to an order with every right but the one to try what failed on others."""
    return judge(whose, which, offered, settings=AUTOMATIC, casebook=casebook, operator=True, force=True, allow_downgrade=True)


Case = tuple[Device, Component, Release]


def zigbee(code: int, image_type: int, manufacturer: str, model: str, *, of: dict[str, Any] | None = None, **of_release: Any) -> Case:
    which = component(id=zigbee_component_id(image_type), manufacturer_code=code, image_type=image_type, **(of or {}))
    return device(manufacturer=manufacturer, model=model), which, release(manufacturer_code=code, image_type=image_type, **of_release)


def zwave(product: tuple[int, int, int], version: str, region: str = "europe", *, made_for: str | None = None, **of_node: bool) -> Case:
    which = Component(id=zwave_component_id(0), version="1.0")
    node = ZwaveNode(product_type=product[1], product_id=product[2], region=region, **of_node)
    whose = Device(id=DeviceId("zwave-1-2"), radio=None, protocol="zwave", manufacturer_code=product[0], node=node, components=(which,))
    prints = (Fingerprint(manufacturer_id=product[0], product_type=product[1], product_id=product[2]),)
    offered = Release(source="service", protocol="zwave", file_version=version, size=1, target=0, fingerprints=prints, region=made_for)
    return whose, which, offered


def with_telinks_address(case: Case) -> Case:
    return replace(case[0], id=zigbee_device_id(0xA4C1_3855_EC1A_0001)), *case[1:]


IBLINDS = (0x0287, 0x0004, 0x0072)
JASCO = (0x0063, 0x4944, 0x3131)
VALVES = {"models": ("TS0601",), "manufacturers": ("_TZE200_ckud7u2l",)}
TY0201 = (0x1141, 0x0203, "_TZ3000_bjawzodf", "TY0201")

# What happened elsewhere, the reason here, and what a person is told.
REFUSED: dict[str, tuple[Case, str, str]] = {
    "zigpy#1351: a plug took the firmware of a valve with the same keys": (
        zigbee(0x1141, 0xD3A3, "_TZ3000_kdi2o9m6", "TS011F", file_version=0x57, **VALVES),
        "image_mismatch",
        "is for model 'TS0601', the device is 'TS011F'",
    ),
    "zigpy#1351: and where the entry names makers alone": (
        zigbee(0x1141, 0xD3A3, "_TZ3000_kdi2o9m6", "TS011F", file_version=0x57, manufacturers=VALVES["manufacturers"]),
        "image_mismatch",
        "is for manufacturer '_TZE200_ckud7u2l', the device is '_TZ3000_kdi2o9m6'",
    ),
    "zota#174: a strip's controller became a socket": (
        zigbee(0x1141, 0xD3A3, "_TZ3210_frm6149r", "TS0504B", models=("TS011F",)),
        "image_mismatch",
        "is for model 'TS011F', the device is 'TS0504B'",
    ),
    "zota#620: a thermometer took the firmware of another one": (
        zigbee(*TY0201, file_version=0x0123_3001),
        "advisory",
        "firmware of another thermometer",
    ),
    "zota#1272: an image for valves was offered to roller shutters": (
        zigbee(0x1286, 0x0815, "SONOFF", "MINI-ZBRBS", file_version=4352, models=("SWV-ZNE", "SWV-ZFE")),
        "image_mismatch",
        "is for model 'SWV-ZNE' or 'SWV-ZFE', the device is 'MINI-ZBRBS'",
    ),
    "z2m#30380: a switch took the firmware of a thermometer by its image type alone": (
        zigbee(0x1141, 0x0205, "_TZ3000_ruxexjfz", "TS0002", models=("LYWSD03MMC-z",)),
        "image_mismatch",
        "is for model 'LYWSD03MMC-z', the device is 'TS0002'",
    ),
    "z2m#30380: and where another maker's code stands in the file": (
        (*zigbee(0x100B, 0x0205, "_TZ3000_ruxexjfz", "TS0002")[:2], release(manufacturer_code=0x1141, image_type=0x0205)),
        "image_mismatch",
        "for manufacturer 0x1141, the component is of 0x100b",
    ),
    "z2m#18840: valves of one name and several revisions": (
        zigbee(0x1002, 54179, "_TZE200_b6wax7g0", "TS0601", file_version=192, manufacturers=("_TZE200_b6wax7g0",)),
        "advisory",
        "for another revision",
    ),
    "ZigbeeTLc: an image for one chip on another that has the name": (
        zigbee(0x1141, 0x0211, "_TZ3000_v1w2k9dd", "TS0201", of={"inner_format": "silabs-gbl"}, models=("TS0201",), inner_format="telink"),
        "image_mismatch",
        "it is made for another chip",
    ),
    "ZigbeeTLc: and the other way round, by the address of a Telink chip": (
        with_telinks_address(zigbee(0x1141, 0x0211, "_TZ3000_xr3htd96", "TS0201", models=("TS0201",), inner_format="silabs-gbl")),
        "image_mismatch",
        "the address of the device is that of a Telink chip",
    ),
    "zigpy#1428: IKEA's type 8704": (zigbee(0x117C, 8704, "IKEA of Sweden", "Lamp"), "advisory", "left lamps dead"),
    "zigpy#1428: IKEA's type 8710": (zigbee(0x117C, 8710, "IKEA of Sweden", "Lamp"), "advisory", "left lamps dead"),
    "zhc#6387: Candeo's dimmer, by its model": (zigbee(0x1224, 1, "Candeo", "HK-DIM-A"), "advisory", "Candeo C202"),
    "zhc#6387: Candeo's dimmer, by its other name": (zigbee(0x1224, 1, "Candeo", "C202"), "advisory", "Candeo C202"),
    "firmware-updates#40, #41: American firmware for blinds in Europe": (zwave(IBLINDS, "3.14"), "advisory", "North America alone"),
    "firmware-updates#41: and where the release names its region": (
        zwave((1, 2, 3), "1.1", made_for="usa"),
        "region_mismatch",
        "is for the region 'usa', the network is in 'europe'",
    ),
    "firmware-updates#17: fan controls were off the network": (zwave(JASCO, "5.24", "usa"), "advisory", "off the network after this release"),
    "zwave-firmware#18: the controller itself": (zwave((0x0466, 1, 1), "2.0", controller=True), "image_mismatch", "The controller itself"),
}


@pytest.mark.parametrize("happened", REFUSED)
def test_what_has_killed_devices_is_refused_whoever_orders_it(happened: str) -> None:
    case, reason, told = REFUSED[happened]
    verdict = forced(*case)
    assert (verdict.decision, verdict.reason) == ("refuse", reason)
    assert told in verdict.sentence


BESIDE: dict[str, Case] = {
    "the plug's own": zigbee(0x1141, 0xD3A3, "_TZ3000_kdi2o9m6", "TS011F", manufacturers=("_TZ3000_kdi2o9m6",)),
    "another IKEA type": zigbee(0x117C, 16900, "IKEA of Sweden", "Lamp"),
    "another Moes": zigbee(0x1002, 54179, "_TZE200_other", "TS0601", models=("TS0601",)),
    "what mends the thermometer": zigbee(*TY0201, file_version=0x1001_3001),
    "another Candeo": zigbee(0x1224, 1, "Candeo", "C204"),
    "blinds in America": zwave(IBLINDS, "3.14", "usa (long range)"),
    "blinds that have learned": zwave(IBLINDS, "4.0"),
    "the fan control's next": zwave(JASCO, "5.25", "usa"),
    "an image for the chip": zigbee(0x1141, 0x0211, "x", "TS0201", of={"inner_format": "telink"}, models=("TS0201",), inner_format="telink"),
    "an older edition for the chip": zigbee(0x1049, 1, "x", "y", of={"inner_format": "silabs-gbl4"}, inner_format="silabs-gbl"),
    "Telink on Telink": with_telinks_address(zigbee(0x1141, 1, "x", "y", models=("y",), inner_format="telink")),
}


@pytest.mark.parametrize("beside", BESIDE)
def test_what_stands_beside_it_is_allowed(beside: str) -> None:
    assert forced(*BESIDE[beside]).allowed


def test_a_code_that_many_makers_bear_is_asked_about_where_no_name_stands_beside_it() -> None:
    """z2m#25207: sensors with the keys of a kit's example took the firmware of others, and nothing in the index said otherwise."""
    for code in (0x1141, 0x1002):
        case = zigbee(code, 0x0203, "_TZ3000_xr3htd96", "TS0201")
        verdict = judge(*case, settings=AUTOMATIC)
        assert (verdict.decision, verdict.reason) == ("ask", "awaiting_approval")
        assert "Devices of many makers bear the manufacturer code" in verdict.sentence
        assert forced(*case).allowed
    assert judge(*zigbee(0x117C, 0x0203, "IKEA of Sweden", "Lamp"), settings=AUTOMATIC).allowed


def test_a_second_product_under_the_same_keys_is_ambiguous_and_both_files_are_named() -> None:
    """z2m#32843: valves and shutters had keys and version in common, and nothing else was said of them."""
    whose, which, _ = zigbee(0x1286, 0x0815, "SONOFF", "MINI-ZBRBS")
    keys = {"manufacturer_code": 0x1286, "image_type": 0x0815, "file_version": 4352}
    offers = [release(**keys, sha256=DIGEST_A, file_name="SWV1C.ota"), release(**keys, sha256=DIGEST_B, file_name="ZBRBS.ota")]
    choice = choose(whose, which, offers, settings=AUTOMATIC, operator=True, force=True)
    assert (choice.chosen, choice.verdict.reason) == (None, "ambiguous")
    assert "SWV1C.ota" in choice.verdict.sentence
    assert "ZBRBS.ota" in choice.verdict.sentence


def test_after_two_lamps_that_were_lost_the_next_are_spared() -> None:
    """z2m#18618: five lamps were updated at once, and three were dead."""
    past = Casebook(past={version_key(20): [failed(1), failed(2)]})
    verdict = forced(*zigbee(0x117C, 0x0112, "Signify Netherlands B.V.", "LCT001", sha256=DIGEST_A), past)
    assert (verdict.decision, verdict.reason) == ("refuse", "quarantined")
    assert "failed on 2 devices here" in verdict.sentence


DAMAGED = bytearray(telink())
DAMAGED[40] ^= 1


def facts_of(body: bytes) -> ImageFacts:
    return identify(build(element(0, body)), LIMIT, "image.ota").facts


@pytest.mark.parametrize(("body", "what"), [(bytes(DAMAGED), "Telink"), (gbl()[:-1] + b"\xff", "GBL")])
def test_an_image_that_is_damaged_inside_is_refused_before_anything_is_sent(body: bytes, what: str) -> None:
    """z2m#30932: users fought for weeks with an image whose checksum was wrong all the time."""
    facts = facts_of(body)
    promised = Release(
        source="x",
        file_version=facts.file_version,
        manufacturer_code=facts.manufacturer_code,
        image_type=facts.image_type,
        size=facts.size,
    )
    verdict = trust(facts, promised, sha256=DIGEST_A)
    assert (verdict.decision, verdict.code) == ("refuse", "image-corrupt")
    assert what in verdict.sentence
    assert "damaged" in verdict.sentence


@pytest.mark.parametrize("short", [1, 1000])
def test_an_image_of_another_length_than_it_says_is_no_image(short: int) -> None:
    """zigpy#599: what was served was shorter than its header said, and was sent all the same."""
    whole = build(element(0, telink(bytes(4000))))
    with pytest.raises(Malformed, match="truncated"):
        identify(whole[:-short], LIMIT, "image.ota")


# --- 0 false refusals ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Home:
    """A device that the file was made for: what it tells of itself; it runs the version before."""

    manufacturer: str
    model: str
    hardware: int | None = None


HOMES = {
    "100B-0119-02002100-Switch-EFR32MG22.zigbee": Home(manufacturer="Signify Netherlands B.V.", model="RDM003"),
    "1021-002a-001845ff-NLW.zigbee": Home(manufacturer=" Legrand", model=" Double gangs remote switch"),
    "10F2-7B2A-0000-0005-02010230-m7b-r0.ota.zigbee": Home(manufacturer="ubisys", model="R0 (5501)", hardware=5),
    "1166-012A-24031511-upgradeMe-RB 245.zigbee": Home(manufacturer="innr", model="RB 245", hardware=257),
    "20230510105212_OTA_aqara.toilet.acn002_0.0.0_1233_20230505_35594D.ota": Home(manufacturer="aqara", model="aqara.toilet.acn002"),
    "Radar_PROD_OTA_V16_v1.00.16.ota": Home(manufacturer="Third Reality, Inc", model="3RPL01084Z"),
    "SN-TLSR8656-09P-01-v1.1.2.ota": Home(manufacturer="SONOFF", model="SNZB-09P"),
    "SWD2_0x11191514_PROD.fw": Home(manufacturer="BOSCH", model="RBSH-SWD2-ZB", hardware=257),
    "VIVARES_PBC4_01_0X0098_0x10132503.ota": Home(manufacturer="LEDVANCE", model="PBC4_01"),
    "ZLL_Plug01_OnOff_MK_0x01020509.ota": Home(manufacturer="OSRAM", model="Plug 01"),
    "mmwave_module_fw_V3_14_3.ota": Home(manufacturer="Inovelli", model="VZM32-SN"),
    "tradfri-signal-repeater_release_prod_v587753009_3ce8f096-bd12-4b2c-b66e-51dc9f2637dc.ota": Home(
        manufacturer="IKEA of Sweden", model="TRADFRI signal repeater"
    ),
}


@dataclass(frozen=True, kw_only=True)
class Ordinary:
    """A real image, as a stored file and as its entry of an index offer it, and the device that it is for."""

    name: str
    facts: ImageFacts
    stored: Release
    listed: Release
    whose: Device
    which: Component


def ordinary_images() -> Iterator[Ordinary]:
    entries = {each["fileName"]: each for each in json.loads((DATA / "zigbee-images" / "index.json").read_text(encoding="utf-8"))}
    for truth in manifest("zigbee-images"):
        name, home = truth["file"], HOMES[truth["file"]]
        facts = identify((DATA / "zigbee-images" / name).read_bytes(), LIMIT, name).facts
        stored = Release(
            source="folder", manufacturer_code=facts.manufacturer_code, image_type=facts.image_type, file_version=facts.file_version,
            size=facts.size, sha256=Sha256(truth["sha256"]), hardware_min=facts.hardware_min, hardware_max=facts.hardware_max,
            inner_format=facts.inner_format, file_name=name,
        )  # fmt: skip
        listed = replace(read_zigbee2mqtt(entries[name]), source="index")
        image_type, version = truth["image_type"], truth["file_version"] - 1
        which = Component(
            id=zigbee_component_id(image_type), image_type=image_type, manufacturer_code=truth["manufacturer_code"], version=version,
            hardware_version=home.hardware, inner_format=facts.inner_format,
        )  # fmt: skip
        whose = device(manufacturer=home.manufacturer, model=home.model, manufacturer_code=truth["manufacturer_code"], components=(which,))
        yield Ordinary(name=name, facts=facts, stored=stored, listed=listed, whose=whose, which=which)


def real() -> list[Ordinary]:
    found = list(ordinary_images())
    assert len(found) == len(HOMES) == 12
    return found


@pytest.mark.skipif(not manifest("zigbee-images"), reason=MISSING)
def test_no_ordinary_image_is_refused_to_its_own_device_nor_taken_for_doubtful() -> None:
    for each in real():
        for offered in (each.stored, each.listed):
            for known in (each.which, replace(each.which, inner_format=None)):
                verdict = judge(each.whose, known, offered, settings=AUTOMATIC, casebook=KNOWN, now=NOW)
                assert verdict.allowed, f"{each.name} of {offered.source}: {verdict.sentence}"
                exact = replace(narrow(offered, each.facts), sha256=each.stored.sha256)
                assert trust(each.facts, replace(exact, size=each.facts.size), sha256=each.stored.sha256 or DIGEST_A).allowed, each.name
                assert match(each.whose, known, exact).allowed, each.name
                assert KNOWN.speaks(each.whose, known, exact, override=()) is None, each.name
        choice = choose(each.whose, each.which, [each.stored, each.listed], settings=AUTOMATIC, casebook=KNOWN, now=NOW)
        assert choice.chosen is not None, f"{each.name}: {choice.verdict.sentence}"


@pytest.mark.skipif(not manifest("zigbee-images"), reason=MISSING)
def test_every_ordinary_image_is_refused_to_the_devices_of_all_others() -> None:
    images = real()
    for each in images:
        for other in images:
            if other is not each:
                assert forced(other.whose, other.which, each.stored).reason == "image_mismatch", f"{each.name} for {other.name}"
