"""Accounts at update services, as the configuration names them, with their secrets read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from otagate.config import SourceSettings
from otagate.config.secrets import read_secret
from otagate.model.ids import DeviceId, tuya_device_id
from otagate.sources import iotaap
from otagate.sources.registry import Terms


def terms(source: SourceSettings) -> Terms:
    """How a service is asked. Raises ConfigError for a secret that cannot be read."""
    key = None if source.api_key_file is None else read_secret(source.api_key_file, at_least=1)
    url = source.url if source.path is None else source.path.as_uri()
    secret = "" if source.client_secret_file is None else read_secret(source.client_secret_file, at_least=1)
    return Terms(
        name=source.name,
        url=url,
        api=source.api or "auto",
        api_key=key,
        client_id=source.client_id or "",
        client_secret=secret,
        project_id=source.project_id or "",
        device_ids=source.device_ids or (),
    )


def repository(source: SourceSettings) -> iotaap.Iotaap:
    """An account of IoTaaP. Raises ConfigError for a secret that cannot be read."""
    password = "" if source.password_file is None else read_secret(source.password_file, at_least=1)
    account = iotaap.Account(api_url=source.api_url or iotaap.API, email=source.email or "", password=password)
    tokens = {each.iotaap_device: read_secret(each.token_file, at_least=1) for each in source.bindings or ()}
    return iotaap.Iotaap(name=source.name, account=account, ota_url=source.ota_url or iotaap.OTA, tokens=tokens)


def twins(sources: Sequence[SourceSettings]) -> Mapping[DeviceId, set[DeviceId]]:
    """Who is known to a cloud and to a radio here, each with its other ids."""
    found: dict[DeviceId, set[DeviceId]] = {}
    for each in (pair for source in sources for pair in source.same_as or ()):
        here, there = DeviceId(each.device), tuya_device_id(each.cloud_device)
        found.setdefault(here, set()).add(there)
        found.setdefault(there, set()).add(here)
    return found
