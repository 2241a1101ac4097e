"""The seal under a report: an Ed25519 signature (RFC 8032) over its length and digests, in its last line, that anybody can check offline.

What is signed is ASCII, one line each: `otagate report v1`, `bytes N`, `sha256 HEX`, `blocks HEX`, `key KEY`, each ended by a line feed. N and the
digest are of every byte before the last line. `blocks` says roughly where a change is: the first two bytes of the SHA-256 of each block of the
report, of which there are at most 64.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

_BLOCKS = 64
_SMALLEST = 256
"""Bytes of a block at least."""

_KEY = re.compile(r"ed25519:([A-Za-z0-9+/]{43}=)")
_SEAL = re.compile(rb"otagate-seal v1 bytes=(\d{1,12}) sha256=([0-9a-f]{64}) blocks=([0-9a-f]*) key=(\S{52}) signature=([A-Za-z0-9+/]{86}==)")

Sign = Callable[[bytes], bytes]
"""Gives the signature of bytes: 64 bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What stands around the seal in the last line of a form."""

    before: str
    after: str


FRAMES = {"html": Frame(before="<!-- ", after=" -->\n"), "csv": Frame(before="seal,", after="\r\n")}
"""How each form carries the seal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What became of checking a seal: `key` is the one that signed, where there is a seal that can be read."""

    holds: bool
    sentence: str
    key: str | None = None


def key_text(public: bytes) -> str:
    """A public key of 32 bytes as people pass it on: `ed25519:` and base64."""
    return f"ed25519:{base64.b64encode(public).decode('ascii')}"


def read_key(text: str) -> bytes:
    """The public key of such a text. Raises ValueError with a sentence."""
    found = _KEY.fullmatch(text.strip())
    if found is None:
        raise ValueError("a key is `ed25519:` and 44 characters, as `otagate report --public-key` shows it")
    return base64.b64decode(found[1])


def sealed(report: str, frame: Frame, *, key: str, sign: Sign) -> bytes:
    """The bytes of a report with its seal as the last line; `key` is the public one of `sign`."""
    content = report.encode()
    digest, blocks = hashlib.sha256(content).hexdigest(), _blocks(content)
    signature = base64.b64encode(sign(_statement(len(content), digest, blocks, key))).decode("ascii")
    seal = f"otagate-seal v1 bytes={len(content)} sha256={digest} blocks={blocks} key={key} signature={signature}"
    return content + f"{frame.before}{seal}{frame.after}".encode("ascii")


def check(data: bytes, *, key: str | None = None) -> Proof:
    """Whether a file is a report as it was sealed, by `key` where one is given; the sentence says precisely what is wrong."""
    content, last = _parted(data)
    found = _SEAL.search(last)
    if found is None:
        return Proof(holds=False, sentence=_unsealed(data))
    size, digest, blocks, signer, signature = (each.decode("ascii", "replace") for each in found.groups())
    if not _signs(signer, _statement(int(size), digest, blocks, signer), signature):
        return Proof(holds=False, sentence="The seal itself was changed: its signature does not fit what it says.")
    if last not in {f"{each.before}{found[0].decode('ascii')}{each.after}".encode() for each in FRAMES.values()}:
        return Proof(holds=False, sentence="Something was added to the last line, beside the seal.", key=signer)
    if hashlib.sha256(content).hexdigest() != digest:
        return Proof(holds=False, sentence=_changed(content, int(size), blocks), key=signer)
    if key is not None and key != signer:
        return Proof(holds=False, sentence=f"It is whole, but another key signed it: {signer}, and not {key}.", key=signer)
    return Proof(holds=True, sentence=f"It is as it was signed: {size} bytes, SHA-256 {digest}.", key=signer)


def _parted(data: bytes) -> tuple[bytes, bytes]:
    """Everything before the last line, and that line with its end."""
    cut = data.rfind(b"\n", 0, max(0, len(data) - 1)) + 1
    return data[:cut], data[cut:]


def _statement(size: int, digest: str, blocks: str, key: str) -> bytes:
    return f"otagate report v1\nbytes {size}\nsha256 {digest}\nblocks {blocks}\nkey {key}\n".encode("ascii", "replace")


def _signs(key: str, statement: bytes, signature: str) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(read_key(key)).verify(base64.b64decode(signature, validate=True), statement)
    except (InvalidSignature, ValueError, binascii.Error):
        return False
    return True


def _unsealed(data: bytes) -> str:
    found = list(_SEAL.finditer(data))
    if not found:
        return "There is no seal in its last line: it is no report of otagate, or its end was cut off or changed."
    behind = len(data) - found[-1].end()
    return f"Something was added behind the seal: {behind} bytes follow it."


def _block_size(size: int) -> int:
    return max(_SMALLEST, -(-size // _BLOCKS))


def _blocks(content: bytes, size: int | None = None) -> str:
    step = _block_size(len(content) if size is None else size)
    return "".join(hashlib.sha256(content[start : start + step]).hexdigest()[:4] for start in range(0, len(content), step))


def _changed(content: bytes, size: int, blocks: str) -> str:
    """Where the content is not what was sealed, by lines of the file as it is now."""
    now, step = _blocks(content, size), _block_size(size)
    first = next((at for at in range(0, max(len(now), len(blocks)), 4) if now[at : at + 4] != blocks[at : at + 4]), 0) // 4
    begin = content.count(b"\n", 0, first * step) + 1
    if len(content) != size:
        much = f"{abs(len(content) - size)} bytes {'longer' if len(content) > size else 'shorter'} than what was signed"
        return f"Its content was changed after it was signed: it is {much}, from line {begin} on or a little behind that."
    end = content.count(b"\n", 0, min(len(content) - 1, (first + 1) * step)) + 1
    where = f"in line {begin}" if begin == end else f"between line {begin} and line {end}"
    return f"Its content was changed after it was signed: {where} first."
