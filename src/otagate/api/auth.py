"""Who calls: bearer tokens over TCP, the peer's user id over the unix socket.

The admin token is made on first start; further tokens carry scopes. Tokens are kept as SHA-256 digests and compared in constant time.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from otagate.config.kinds import TOKEN
from otagate.config.secrets import read_secret
from otagate.files import write_durably
from otagate.model.errors import ConfigError

Scope = Literal["read", "operate", "approve", "downgrade", "admin"]
SCOPES: frozenset[Scope] = frozenset({"read", "operate", "approve", "downgrade", "admin"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenFile:
    """A further token: `file` holds it, `name` is who it stands for."""

    name: str
    file: Path
    scopes: frozenset[Scope]


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks, as the journal keeps it, and what they may do."""

    actor: str
    scopes: frozenset[Scope]

    def may(self, scope: Scope) -> bool:
        """Whether this scope is held; `admin` holds every one."""
        return scope in self.scopes or "admin" in self.scopes


class Tokens:
    """The tokens that open the API."""

    def __init__(self, tokens: Sequence[tuple[str, Caller]]) -> None:
        self._callers = tuple((_digest(token), caller) for token, caller in tokens)

    def caller(self, token: str) -> Caller | None:
        """Whose token it is; every stored token is compared, so the time tells nothing."""
        digest = _digest(token)
        found = None
        for known, caller in self._callers:
            if hmac.compare_digest(known, digest):
                found = caller
        return found


def load_tokens(admin_file: Path, further: Sequence[TokenFile] = ()) -> Tokens:
    """Read every token, making the admin's where its file is missing. Raises ConfigError with a sentence."""
    tokens = [(_admin_token(admin_file), Caller(actor="token:admin", scopes=frozenset({"admin"})))]
    tokens += [(_read(each.file), Caller(actor=f"token:{each.name}", scopes=each.scopes)) for each in further]
    return Tokens(tokens)


def _admin_token(file: Path) -> str:
    if file.exists():
        return _read(file)
    token = secrets.token_urlsafe(32)
    try:
        write_durably(file, f"{token}\n".encode())
    except OSError as error:
        raise ConfigError(f"api.token_file: cannot make {file}: {error.strerror}") from error
    return token


def _read(file: Path) -> str:
    try:
        return read_secret(file, at_least=TOKEN.at_least)
    except ConfigError as error:
        raise ConfigError(f"api: {file}: {error}") from error


def peer(connection: socket.socket) -> Caller:
    """The caller at the other end of a unix socket (SO_PEERCRED); the socket's mode is what lets them in, so they may do everything."""
    _, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    return Caller(actor=f"uid:{uid}", scopes=frozenset({"admin"}))


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
