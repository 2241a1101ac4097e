"""Every update service, by the `type` of its source in the configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from otagate.sources import index, ledvance, tuya_illume, tuya_thing, zwave_js
from otagate.sources.delegated import Delegate
from otagate.sources.source import Source
from otagate.sources.tuya_openapi import Account


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the configuration says of one source; the key itself, not the name of its file."""

    name: str
    url: str | None = None
    api: zwave_js.Api = "auto"
    api_key: str | None = field(default=None, repr=False)
    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    project_id: str = ""
    device_ids: tuple[str, ...] = ()


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


class Accounts:
    """One account per credential, whichever sources use it: its token is renewed for all of them at once."""

    def __init__(self, *, pace: float = 1.0) -> None:
        self._pace = pace
        self._known: dict[tuple[str, str, str], Account] = {}

    def of(self, terms: Terms) -> Account:
        """The account that these terms name."""
        url = (terms.url or "").rstrip("/")
        return self._known.setdefault(
            (url, terms.client_id, terms.client_secret), Account(url=url, client_id=terms.client_id, secret=terms.client_secret, pace=self._pace)
        )


def _tuya_illume(terms: Terms, accounts: Accounts) -> Delegate:
    return tuya_illume.TuyaIllume(name=terms.name, account=accounts.of(terms), project_id=terms.project_id)


def _tuya_thing(terms: Terms, accounts: Accounts) -> Delegate:
    return tuya_thing.TuyaThing(name=terms.name, account=accounts.of(terms), device_ids=terms.device_ids)


DELEGATES: Mapping[str, Callable[[Terms, Accounts], Delegate]] = {"tuya-illume": _tuya_illume, "tuya-thing": _tuya_thing}
"""Type → what makes the source, for those whose devices their own cloud updates."""
