"""Whose certificates are taken: the public authorities', and for a few hosts that of their own maker, for those hosts alone."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable

from yarl import URL

from otagate.model.errors import SourceRefused

Anchors = Callable[[str], str | None]
"""What to trust for a host beside the public authorities, as PEM; None for nothing. Called in a thread: it may take its time."""


class Trust:
    """What TLS connections to a host are checked against; made once for each host that needs its own."""

    def __init__(self, anchors: Anchors) -> None:
        self._anchors = anchors
        self._known: dict[str, ssl.SSLContext | bool] = {}

    async def for_url(self, url: URL) -> ssl.SSLContext | bool:
        """The context for this address; True for the usual one. Raises SourceRefused where the maker's certificate is none."""
        if url.scheme != "https" or not url.host:
            return True
        if url.host not in self._known:
            self._known[url.host] = await asyncio.to_thread(self._make, url.host)
        return self._known[url.host]

    def _make(self, host: str) -> ssl.SSLContext | bool:
        anchor = self._anchors(host)
        if anchor is None:
            return True
        try:
            context = ssl.create_default_context()
            context.load_verify_locations(cadata=anchor)
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # since Python 3.13 by default: makers do not write by the book
        except ssl.SSLError as error:
            raise SourceRefused(f"the certificate authority that is known for {host} cannot be used") from error
        return context
