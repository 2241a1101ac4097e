"""The seal: nobody changes a byte of a report without being told of it, and the key is the hub's alone."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from otagate.model.errors import StoreUnavailable
from otagate.reports.forms import FORMS, Form
from otagate.reports.key import SealKey
from otagate.reports.seal import check, read_key
from tests.reports.samples import sample_report


@pytest.fixture
def key(tmp_path: Path) -> SealKey:
    return SealKey(tmp_path / "report-key.pem")


def made(key: SealKey, form: Form = "html") -> bytes:
    return key.seal(FORMS[form].write(sample_report(), key.public()), FORMS[form].frame)


@pytest.mark.parametrize("form", FORMS)
def test_a_report_is_as_it_was_signed_by_the_key_that_is_given(key: SealKey, form: Form) -> None:
    proof = check(made(key, form), key=key.public())
    assert (proof.holds, proof.key) == (True, key.public())
    assert proof.sentence.startswith("It is as it was signed: ")


@pytest.mark.parametrize("form", FORMS)
def test_every_single_byte_counts(key: SealKey, form: Form) -> None:
    data = made(key, form)
    for at in [*range(0, len(data), 97), *range(len(data) - 700, len(data))]:
        changed = data[:at] + bytes([data[at] ^ 0x01]) + data[at + 1 :]
        assert not check(changed).holds, at


def test_what_is_wrong_is_told_precisely(key: SealKey, tmp_path: Path) -> None:
    data, other = made(key), SealKey(tmp_path / "other.pem")
    lines = data.split(b"\n")
    at = next(number for number, line in enumerate(lines) if b"transfer-stalled" in line)
    changed = data.replace(b"transfer-stalled", b"transfer-finished"[:16])
    for wrong, words in {
        changed: "Its content was changed after it was signed: ",
        data.replace(b"Hall lamp", b"Hall  lamp"): "bytes longer than what was signed, from line",
        data.replace(b"Hall lamp", b"Hall"): "bytes shorter than what was signed, from line",
        data + b"\n": "Something was added behind the seal",
        data + b"<p>and more</p>\n": "Something was added behind the seal",
        b"\n".join(lines[:-2]): "There is no seal in its last line",
        data[:-30]: "There is no seal in its last line",
        b"": "There is no seal in its last line",
        data.replace(b" -->\n", b" --> \n"): "Something was added to the last line",
        data.replace(b"otagate-seal v1 bytes=", b"otagate-seal v1 bytes=1"): "The seal itself was changed",
    }.items():
        proof = check(wrong, key=key.public())
        assert not proof.holds
        assert words in proof.sentence, (proof.sentence, words)
    begin, end = (int(word) for word in check(changed).sentence.split() if word.isdigit())
    assert begin <= at + 1 <= end
    assert end - begin < 12
    proof = check(made(other), key=key.public())
    assert (proof.holds, proof.key) == (False, other.public())
    assert proof.sentence == f"It is whole, but another key signed it: {other.public()}, and not {key.public()}."


def test_the_seal_of_another_report_does_not_fit(key: SealKey) -> None:
    one, two = made(key).splitlines(keepends=True), made(key, "csv").splitlines(keepends=True)
    assert not check(b"".join([*one[:-1], two[-1]])).holds


def test_anybody_can_check_what_is_signed_without_this_program(key: SealKey) -> None:
    """The statement is written out as the module describes it."""
    content, _, last = made(key)[:-1].rpartition(b"\n")
    content += b"\n"
    fields = dict(each.split("=", 1) for each in last.decode().split() if "=" in each)
    statement = "otagate report v1\nbytes {}\nsha256 {}\nblocks {}\nkey {}\n".format(
        len(content), hashlib.sha256(content).hexdigest(), fields["blocks"], fields["key"]
    )
    public = base64.b64decode(fields["key"].removeprefix("ed25519:"))
    Ed25519PublicKey.from_public_bytes(public).verify(base64.b64decode(fields["signature"]), statement.encode())
    assert len(fields["blocks"]) <= 4 * 64


def test_a_key_is_read_as_it_is_shown_and_nothing_else_is_one(key: SealKey) -> None:
    assert len(read_key(f" {key.public()}\n")) == 32
    for wrong in ("", "ed25519:", key.public()[:-1], f"x{key.public()}", key.public().replace("ed25519", "rsa")):
        with pytest.raises(ValueError, match="44 characters"):
            read_key(wrong)


def test_the_key_is_made_once_for_its_owner_alone_and_kept(key: SealKey) -> None:
    public = key.public()
    assert key.file.stat().st_mode & 0o777 == 0o600
    assert SealKey(key.file).public() == public
    assert [each.name for each in key.file.parent.iterdir()] == ["report-key.pem"]


def test_a_key_that_others_may_read_or_that_is_none_signs_nothing(key: SealKey) -> None:
    key.public()
    key.file.chmod(0o640)
    with pytest.raises(StoreUnavailable, match=r"others may read .* \(mode 0640\)"):
        made(key)
    key.file.chmod(0o600)
    for wrong in (b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", Ed25519PrivateKey.generate().private_bytes_raw()):
        key.file.write_bytes(wrong)
        with pytest.raises(StoreUnavailable, match="holds no key for reports"):
            key.public()


def test_a_folder_that_is_away_is_told() -> None:
    with pytest.raises(StoreUnavailable, match=r"cannot be kept in /nowhere/key\.pem: No such file or directory"):
        SealKey(Path("/nowhere/key.pem")).public()
