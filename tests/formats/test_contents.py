from __future__ import annotations

import pytest

from otagate.formats import contents, zigbee
from tests.formats.images import build, element
from tests.formats.inner import ebl, gbl, inner_samples, jn516x, telink, telink_encrypted


def survey(body: bytes) -> tuple[str | None, str, str]:
    found = contents.survey(zigbee.parse(build(body), limit=1 << 24))
    assert found.check.name == "contents"
    return found.inner_format, found.check.result, found.check.detail


def broken(body: bytes) -> bytes:
    return body[:-50] + bytes([body[-50] ^ 1]) + body[-49:]


@pytest.mark.parametrize(
    ("sample", "inner_format", "result"),
    [
        ("gbl", "silabs-gbl", "pass"),
        ("gbl in parts", "silabs-gbl", "pass"),
        ("ebl", "silabs-ebl", "pass"),
        ("encrypted ebl", "silabs-ebl", "pass"),
        ("telink", "telink", "pass"),
        ("telink risc-v", "telink", "pass"),
        ("telink encrypted", "telink-encrypted", "unknown"),
        ("jn516x", "nxp-jn516x", "unknown"),
        ("jn518x", "nxp-jn518x", "unknown"),
        ("integrity", None, "unknown"),
    ],
)
def test_each_format_is_found_inside_and_verified_as_far_as_it_can_be(sample: str, inner_format: str | None, result: str) -> None:
    found = contents.survey(zigbee.parse(inner_samples()[sample], limit=1 << 20))
    assert (found.inner_format, found.check.result) == (inner_format, result)


def test_nothing_known_inside_is_said_to_be_unverified() -> None:
    assert survey(element(0, b"program")) == (None, "unknown", "What is inside is of no kind that is known here: nothing in it was verified.")
    assert survey(b"")[:2] == (None, "unknown")


def test_a_known_file_behind_unknown_sub_elements_is_found() -> None:
    assert survey(element(0xF7BD, bytes(160)) + element(0, ebl()))[:2] == ("silabs-ebl", "pass")


def test_all_parts_that_are_right_are_counted() -> None:
    inner_format, result, detail = survey(element(0xF100, gbl()) + element(0xF101, gbl(b"x")) + element(5, bytes(72)))
    assert (inner_format, result) == ("silabs-gbl", "pass")
    assert detail.startswith("2 files inside, each with the right CRC-32.")


@pytest.mark.parametrize("bodies", [(broken(gbl()), gbl()), (gbl(), broken(gbl())), (jn516x(), broken(gbl())), (broken(telink()), jn516x())])
def test_one_damaged_part_fails_the_image(bodies: tuple[bytes, ...]) -> None:
    _, result, detail = survey(b"".join(element(0xF100, body) for body in bodies))
    assert (result, "is damaged" in detail) == ("fail", True)


def test_one_part_that_cannot_be_verified_leaves_the_whole_unknown() -> None:
    assert survey(element(0, gbl()) + element(1, jn516x()))[:2] == ("silabs-gbl", "unknown")


# --- cut short: damage only where nothing can lie elsewhere ------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", [gbl()[:-9], ebl()[:-120], telink(size=200)])
def test_a_cut_file_in_the_last_sub_element_is_damaged(cut: bytes) -> None:
    assert survey(element(0, cut))[1] == "fail"


@pytest.mark.parametrize("cut", [gbl()[:-9], ebl()[:-120], telink(size=200)])
def test_a_file_that_may_go_on_in_the_next_sub_element_is_not_called_damaged(cut: bytes) -> None:
    assert survey(element(0, cut) + element(1, b"the rest"))[1] == "unknown"
    assert survey(element(0, cut) + b"\x01\x02")[1] == "unknown"


@pytest.mark.parametrize("cut", [gbl()[:-9], ebl()[:-120], telink(size=200)])
def test_a_file_in_a_sub_element_whose_length_lies_is_not_called_damaged(cut: bytes) -> None:
    assert survey(element(0, cut, length=len(cut) + 9))[1] == "unknown"


def test_a_right_file_in_a_sub_element_whose_length_lies_passes() -> None:
    assert survey(element(0, gbl(), length=100_000))[:2] == ("silabs-gbl", "pass")


# --- the encrypted image of Telink -------------------------------------------------------------------------------------------------------


def test_only_the_first_sub_element_can_be_an_encrypted_telink_image() -> None:
    assert survey(telink_encrypted())[0] == "telink-encrypted"
    assert survey(element(5, b"") + telink_encrypted())[0] is None


def test_a_makers_own_sub_element_with_that_tag_is_no_encrypted_image() -> None:
    assert survey(element(0xF000, b"\x01\x0c" + bytes(20)))[0] is None
    assert survey(element(0xF000, b"\x01\x0c" + bytes(20)) + element(0, bytes(100)))[0] is None


def test_no_more_sub_elements_are_looked_into_than_are_counted() -> None:
    assert survey(element(1, b"") * 4095 + element(0, gbl()))[1] == "pass"
    assert survey(element(1, b"") * 4096 + element(0, gbl()))[0] is None
