"""How the API listens and what it lets in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from otagate.api.auth import TokenFile
from otagate.model.errors import ConfigError

DEFAULT_LISTEN = ("127.0.0.1:8377",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tcp:
    """An address and port; port 0 takes a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        """As in a configuration."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unix:
    """A socket in the file system."""

    path: Path

    def __str__(self) -> str:
        """As in a configuration."""
        return f"unix:{self.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiSettings:
    """`listen`: `host:port`, `[v6]:port` or `unix:/path`. `hosts`: names beside loopback and the bound addresses that a Host field may carry.

    `effective` is the whole configuration in force as it may be shown, secrets masked. Sizes are in bytes, times in seconds.
    """

    token_file: Path
    listen: tuple[str, ...] = DEFAULT_LISTEN
    tokens: tuple[TokenFile, ...] = ()
    hosts: tuple[str, ...] = ()
    socket_mode: int = 0o660
    body_limit: int = 64 * 1024
    upload_limit: int = 16 * 1024 * 1024
    upload_timeout: float = 300.0
    request_timeout: float = 30.0
    check_patience: float = 20.0
    heartbeat: float = 15.0
    max_streams: int = 32
    drain: float = 5.0
    effective: Mapping[str, Any] = field(default_factory=dict)


def parse_listen(text: str) -> Tcp | Unix:
    """Read one listen address; raises ConfigError."""
    if text.startswith("unix:"):
        path = Path(text.removeprefix("unix:"))
        if not path.is_absolute():
            raise ConfigError(f"api.listen: {text!r}: the path of a unix socket is absolute, as in unix:/run/otagate/otagate.sock")
        return Unix(path=path)
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ConfigError(f"api.listen: {text!r} is neither host:port nor unix:/path")
    return Tcp(host=host, port=int(port))
