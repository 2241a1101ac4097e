"""The key that reports are sealed with: a file of the hub alone, made when it is first wanted."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from otagate.files import write_durably
from otagate.model.errors import StoreUnavailable
from otagate.reports.seal import Frame, key_text, sealed

_LARGEST = 4_096


@dataclass(frozen=True, slots=True)
class SealKey:
    """The hub's own key in `file`, PKCS 8 in PEM. It leaves this object as signatures only; every call reads the file, and blocks."""

    file: Path

    def public(self) -> str:
        """The public half, as people pass it on. Raises StoreUnavailable."""
        return _public(self._private())

    def seal(self, report: str, frame: Frame) -> bytes:
        """A report with its seal. Raises StoreUnavailable."""
        private = self._private()
        return sealed(report, frame, key=_public(private), sign=private.sign)

    def _private(self) -> Ed25519PrivateKey:
        try:
            return _read(self.file) if self.file.exists() else _make(self.file)
        except OSError as error:
            raise StoreUnavailable(f"the key of the reports cannot be kept in {self.file}: {error.strerror}") from None


def _read(file: Path) -> Ed25519PrivateKey:
    mode = stat.S_IMODE(file.stat().st_mode)
    if mode & 0o077:
        raise StoreUnavailable(f"others may read the key of the reports in {file} (mode {mode:04o}), so anybody could have signed: delete it")
    with file.open("rb") as stream:
        data = stream.read(_LARGEST)
    try:
        found = serialization.load_pem_private_key(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        found = None
    if not isinstance(found, Ed25519PrivateKey):
        raise StoreUnavailable(f"{file} holds no key for reports: put it back as it was, or move it away and a new one is made")
    return found


def _make(file: Path) -> Ed25519PrivateKey:
    made = Ed25519PrivateKey.generate()
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    write_durably(file, made.private_bytes(*form))
    return made


def _public(private: Ed25519PrivateKey) -> str:
    raw = private.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return key_text(raw)
