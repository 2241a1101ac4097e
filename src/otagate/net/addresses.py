"""Which addresses there can be, and which of them a source may reach: public ones, and hosts that the configuration names.

The address that was checked is the one that is connected to: a name that answers differently the second time gains nothing.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from collections.abc import Collection, Sequence

from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from otagate.model.errors import SourceRefused, SourceUnavailable

_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")  # RFC 1035, 2.3.4; underscores are in use
_LONGEST_NAME = 253
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052, 2.1: an IPv4 address in the last 32 bits


class GuardedResolver(AbstractResolver):
    """Resolves names for the HTTP client; a name with any address that may not be reached is refused as a whole."""

    def __init__(self, allowed: Collection[str]) -> None:
        self._allowed = frozenset(each.lower() for each in allowed)

    def check_literal(self, url: URL) -> None:
        """Check a URL whose host is an address, which is never resolved. Raises SourceRefused."""
        host = (url.host or "").lower()
        try:
            address = ipaddress.ip_address(host.partition("%")[0])
        except ValueError:
            return
        self._check(host, str(address))

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:
        """The addresses of a name. Raises SourceUnavailable where it has none, SourceRefused where one is not allowed."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
        except OSError as error:
            raise SourceUnavailable(f"the name {host} cannot be resolved: {error.strerror or error}") from error
        results: list[ResolveResult] = []
        for each_family, _, proto, _, where in found:
            address = str(where[0])
            self._check(host, address)
            flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
            results.append(ResolveResult(hostname=host, host=address, port=port, family=each_family, proto=proto, flags=flags))
        if not results:
            raise SourceUnavailable(f"the name {host} has no address")
        return results

    def _check(self, host: str, address: str) -> None:
        if host.lower() in self._allowed or is_public(address):
            return
        raise SourceRefused(f"{host} is at {address}, which is no public address: name it under http.allow_private if that is meant")

    async def close(self) -> None:
        """Nothing is held."""


def url_of(text: str, query: Sequence[tuple[str, str]] = ()) -> URL:
    """An http or https URL whose host there can be, with a query behind it. Raises SourceRefused."""
    try:
        url = URL(text)
        return checked(url.update_query(query) if query else url)
    except ValueError as error:
        raise SourceRefused("the address is no URL") from error


def host_of(url: URL) -> str:
    """Who answers there: the host with its port."""
    return f"{url.host}:{url.port}"


def checked(url: URL) -> URL:
    """The same URL, if a request can be sent there: the libraries below stumble over the rest. Raises SourceRefused."""
    if url.scheme not in ("http", "https"):
        raise SourceRefused("the address is neither http nor https")
    try:
        host = (url.raw_host or "") if url.host and url.port else ""  # reading them decodes them
    except ValueError:
        host = ""
    if not _is_host(host):
        raise SourceRefused("the address names no host that there can be")
    return url


def _is_host(host: str) -> bool:
    name, _, zone = host.partition("%")
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return len(host) <= _LONGEST_NAME and all(_LABEL.fullmatch(each) for each in host.removesuffix(".").split("."))
    return zone.isascii() and (zone.isalnum() or not zone)


def is_loopback(host: str) -> bool:
    """Whether a host is an address of this very machine; a name is none, whatever it resolves to."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_public(text: str) -> bool:
    """Whether an address is one of the public internet, whatever it is wrapped in."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        if inner is not None:
            return is_public(str(inner))
    return address.is_global and not address.is_multicast
