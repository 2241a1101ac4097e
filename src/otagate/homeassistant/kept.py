"""What the broker keeps of this hub from before, as it tells when the line comes up."""

from __future__ import annotations

import json
import re

from otagate.homeassistant.discovery import Names
from otagate.ports import Message

_MOST_ENTITIES = 64
_WORD = re.compile(r"[A-Za-z0-9_-]{1,64}")


def entities_of(message: Message, names: Names) -> dict[str, str] | None:
    """The entities of a discovery message of this hub with their platforms; None where somebody else said it, or nobody any more."""
    try:
        told = json.loads(message.payload)
        if told["origin"]["name"] != "otagate" or told["availability"][0]["topic"] != names.status:
            return None
        found = [(key, each["platform"]) for key, each in list(told.get("components", {}).items())[:_MOST_ENTITIES]]
        return {key: platform for key, platform in found if _WORD.fullmatch(key) and _WORD.fullmatch(platform)}
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None


def object_id_of(message: Message) -> str:
    """Whose discovery message it is: the level before the last."""
    return message.topic.split("/")[-2]
