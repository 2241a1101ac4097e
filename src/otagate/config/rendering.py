"""The settings as text again, for people."""

from __future__ import annotations

from typing import Any

import yaml
from yarl import URL

from otagate.config.problems import masked
from otagate.config.settings import HubSettings


def effective(settings: HubSettings) -> str:
    """The configuration with every default filled in, as YAML that `load` reads to the same settings.

    But for what is a secret: passwords in URLs, and the path of a receiver's URL, which is one at many services, show as `***`.
    """
    text: str = yaml.safe_dump(_tree(settings), sort_keys=False, allow_unicode=True, width=1000)
    return text


def effective_tree(settings: HubSettings) -> dict[str, Any]:
    """The same as nested values of JSON, for whoever may read the API: whose account a source uses is masked as well."""
    tree = _tree(settings)
    for source in tree["sources"]:
        if "email" in source:
            source["email"] = "***"
    return tree


def _tree(settings: HubSettings) -> dict[str, Any]:
    tree = settings.model_dump(mode="json", exclude_none=True, by_alias=True)
    tree["api"]["token_file"] = str(settings.token_file)
    tree["images"]["path"] = str(settings.image_dir)
    for receiver in tree["notify"]:
        if "url" in receiver:
            receiver["url"] = f"{URL(receiver['url']).origin()}/***"
    found: dict[str, Any] = _masked(tree)
    return found


def _masked(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _masked(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_masked(each) for each in value]
    return masked(value) if isinstance(value, str) else value
