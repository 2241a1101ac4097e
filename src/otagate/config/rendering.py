"""The settings as text again, for people."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import yaml
from yarl import URL

from otagate.config.problems import masked
from otagate.config.settings import HubSettings

_QUERY = re.compile(r"(?<=://)([^\s?]*)\?\S+")


def effective(settings: HubSettings) -> str:
    """The configuration with every default filled in, as YAML that `load` reads to the same settings.

    But for what may be a secret: users and queries of URLs, and the whole path of a receiver's or an interlock's, which is one at many services, show
    as `***`.
    """
    text: str = yaml.safe_dump(_tree(settings), sort_keys=False, allow_unicode=True, width=1000)
    return text


def effective_tree(settings: HubSettings) -> dict[str, Any]:
    """The same as nested values of JSON, for whoever may read the API.

    These are more people: masked as well are whose account a source uses, and the words of commands.
    """
    tree = _tree(settings)
    for source in tree["sources"]:
        if "email" in source:
            source["email"] = "***"
    for of_radio in (radio["hand_over"] for radio in tree["radios"] if "hand_over" in radio):
        of_radio |= {key: _command(of_radio[key]) for key in ("take", "give_back")}
    return tree


def _command(words: list[str]) -> list[str]:
    """The start of a unit hides nothing; any other command may have a word that does."""
    of_unit = len(words) == 3 and words[:2] == ["systemctl", "start"]
    return words if of_unit or len(words) == 1 else [words[0], "***"]


def _tree(settings: HubSettings) -> dict[str, Any]:
    tree = settings.model_dump(mode="json", exclude_none=True, by_alias=True)
    tree["api"]["token_file"] = str(settings.token_file)
    tree["images"]["path"] = str(settings.image_dir)
    for each in (*tree["notify"], *tree["interlocks"]):
        if "url" in each:
            each["url"] = _outside(each["url"])
    found: dict[str, Any] = _each(tree, lambda text: _QUERY.sub(r"\1?***", masked(text)))
    return found


def _outside(url: str) -> str:
    """An address, with all that stands behind its host as one."""
    origin = str(URL(url).origin())
    return origin if url == origin else f"{origin}/***"


def _each(value: Any, mask: Callable[[str], str]) -> Any:
    """The same with every text masked."""
    if isinstance(value, dict):
        return {key: _each(each, mask) for key, each in value.items()}
    if isinstance(value, list):
        return [_each(each, mask) for each in value]
    return mask(value) if isinstance(value, str) else value
