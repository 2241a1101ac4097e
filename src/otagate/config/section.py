"""A section of the configuration: frozen, and it knows all its keys."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic.fields import FieldInfo


class Section(BaseModel):
    """A frozen section that knows all its keys. Errors never carry what was written there: it may have been a secret."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _all_commented_out(cls, data: Any) -> Any:
        return {} if data is None else data


def keys_of(section: type[Section]) -> dict[str, FieldInfo]:
    """The keys of a section as they are written, each with its field: `from` is no name in Python."""
    return {info.alias or name: info for name, info in section.model_fields.items()}
