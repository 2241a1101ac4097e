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

    But for what is a secret: passwords in URLs, and the path of a receiver's URL, which is one at many services, show as `***`.
    """
    text: str = yaml.safe_dump(_tree(settings), sort_keys=False, allow_unicode=True, width=1000)
    return text


def effective_tree(settings: HubSettings) -> dict[str, Any]:
    """The same as nested values of JSON, for whoever may read the API.

    These are more people: masked as well are whose account a source uses, what stands behind the ? of an address, and the words of commands.
    """
    tree = _tree(settings)
    for source in tree["sources"]:
        if "email" in source:
            source["email"] = "***"
    for of_radio in (radio["hand_over"] for radio in tree["radios"] if "hand_over" in radio):
        of_radio |= {key: _command(of_radio[key]) for key in ("take", "give_back")}
    found: dict[str, Any] = _each(tree, lambda text: _QUERY.sub(r"\1?***", text))
    return found


def _command(words: list[str]) -> list[str]:
    """The start of a unit hides nothing; any other command may have a word that does."""
    of_unit = len(words) == 3 and words[:2] == ["systemctl", "start"]
    return words if of_unit or len(words) == 1 else [words[0], "***"]


def _tree(settings: HubSettings) -> dict[str, Any]:
    tree = settings.model_dump(mode="json", exclude_none=True, by_alias=True)
    tree["api"]["token_file"] = str(settings.token_file)
    tree["images"]["path"] = str(settings.image_dir)
    for receiver in tree["notify"]:
        if "url" in receiver:
            receiver["url"] = f"{URL(receiver['url']).origin()}/***"
    found: dict[str, Any] = _each(tree, masked)
    return found


def _each(value: Any, mask: Callable[[str], str]) -> Any:
    """The same with every text masked."""
    if isinstance(value, dict):
        return {key: _each(each, mask) for key, each in value.items()}
    if isinstance(value, list):
        return [_each(each, mask) for each in value]
    return mask(value) if isinstance(value, str) else value
