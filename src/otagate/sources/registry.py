"""Every update service, by the `type` of its source in the configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from otagate.sources import index, ledvance, zwave_js
from otagate.sources.source import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the configuration says of one source; the key itself, not the name of its file."""

    name: str
    url: str | None = None
    api: zwave_js.Api = "auto"
    api_key: str | None = field(default=None, repr=False)


def _index(kind: str, terms: Terms) -> Source:
    read = index.KINDS[kind]
    return index.Index(kind=read, url=terms.url or read.default_url or "", name=terms.name)


def _ledvance(terms: Terms) -> Source:
    return ledvance.Ledvance(name=terms.name, url=terms.url or ledvance.URL)


def _zwave_js(terms: Terms) -> Source:
    return zwave_js.ZwaveJs(name=terms.name, url=terms.url or zwave_js.URL, api=terms.api, api_key=terms.api_key)


REGISTRY: Mapping[str, Callable[[Terms], Source]] = {
    "ledvance": _ledvance,
    "zwave-js": _zwave_js,
    **{kind: partial(_index, kind) for kind in index.KINDS},
}
"""Type → what makes the source."""
