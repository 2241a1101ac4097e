"""The configuration: one YAML file and the environment, read once, before anything is opened.

Holds: `settings`, `policies`, `windows`, `broker`, `notices` and `hand_over` (the sections as frozen values, whose fields and defaults are the
reference), `section`, `kinds` (what one scalar may be), `document` (YAML with the place of everything in it), `environment` (overrides), `crosscheck`
(what two places must agree on), `secrets` (whether each is there and safe), `absent` (what may not be installed), `problems` and `explain` (one clear
line per error), `rendering` (settings as text again), `schema` (what editors know), `reference` (the same as a page).

Imports: model, policy and the names of sources; PyYAML and pydantic.

Never: opening a device, a socket or a store; a key that is accepted and has no effect; a secret in an error or in what is printed.

Add one: a key is a field with its default and its sentence in `settings`, a line in `config/otagate.yaml`, and its rows in the table of wrong
configurations in `tests/test_config.py`, and the schema is made again. A new kind of radio is one more word
in its `type`, one of source comes with its line in `sources.registry`. The path of a secret is marked with a `Secret`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from otagate.config.broker import MqttSettings, broker_at
from otagate.config.crosscheck import disagreements
from otagate.config.document import MAX_BYTES, read_document
from otagate.config.environment import overlay
from otagate.config.explain import explain
from otagate.config.kinds import UNIT_CREDENTIALS
from otagate.config.notices import NotifySettings
from otagate.config.policies import InterlockSettings, PolicyRules, Rule, RuleMatch, RuleUse
from otagate.config.problems import Problem, render
from otagate.config.rendering import effective, effective_tree
from otagate.config.secrets import View, unusable_secrets
from otagate.config.settings import (
    IOTAAP,
    ZIGBEE2MQTT,
    ZWAVE_JS,
    ApiSettings,
    HubSettings,
    ImageSettings,
    LoggingSettings,
    RadioSettings,
    ScheduleSettings,
    SourceSettings,
    StoreSettings,
    TokenSettings,
)
from otagate.model.errors import ConfigError

__all__ = [
    "IOTAAP",
    "ZIGBEE2MQTT",
    "ZWAVE_JS",
    "ApiSettings",
    "HubSettings",
    "ImageSettings",
    "InterlockSettings",
    "LoggingSettings",
    "MqttSettings",
    "NotifySettings",
    "PolicyRules",
    "RadioSettings",
    "Rule",
    "RuleMatch",
    "RuleUse",
    "ScheduleSettings",
    "SourceSettings",
    "StoreSettings",
    "TokenSettings",
    "broker_at",
    "effective",
    "effective_tree",
    "load",
]


def load(path: Path, environ: Mapping[str, str], *, by_hand: bool = False) -> HubSettings:
    """The settings in this file, with the overrides of the environment (`OTAGATE_SECTION__KEY`), and with every secret within reach.

    Relative paths in the file are relative to its folder. `by_hand`: an operator looks at the configuration of a service that may see secrets
    which they may not; those are taken on trust. Raises ConfigError whose message is one line per error, in the order of the file:
    `FILE:LINE:COLUMN: KEY: what is wrong and what to do`.
    """
    document = read_document(str(path), _read(path))
    overlay(document, environ)
    problems = list(document.problems)
    if not document.readable:
        raise ConfigError(render(problems))
    problems += disagreements(document)
    credentials = environ.get("CREDENTIALS_DIRECTORY")
    context = {"folder": path.absolute().parent, "credentials": Path(credentials or UNIT_CREDENTIALS)}
    try:
        settings = HubSettings.model_validate(document.tree, context=context)
    except ValidationError as error:
        raise ConfigError(render(problems + explain(error, document))) from error
    problems += unusable_secrets(settings, document, View(credentials=bool(credentials), by_hand=by_hand))
    if problems:
        raise ConfigError(render(problems))
    return settings


def _remedy(error: OSError) -> str:
    if isinstance(error, PermissionError):
        return "let this user read it, or ask as one who may"
    if isinstance(error, FileNotFoundError):
        return "give the file of the hub, or have one written: otagate init"
    return "give the file of the hub"


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        text = f"cannot be read: {error.strerror or error}: {_remedy(error)}"
        problem = Problem(place=(0, 0, str(path)), key="", text=text)
        raise ConfigError(render([problem])) from error
