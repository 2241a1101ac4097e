"""The JSON Schema that editors read: fresh, valid, and never stricter than the hub itself."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from otagate.config import HubSettings, effective, reference
from otagate.config.kinds import format_duration, parse_duration
from otagate.config.schema import COPY, document, render
from otagate.config.section import Section, keys_of
from tests.test_config_settings import EVERYTHING, PACKAGED, every_section

EDITOR = Draft202012Validator(document())


def complaints(text: str) -> list[str]:
    return [f"{each.json_path}: {each.message}" for each in EDITOR.iter_errors(yaml.safe_load(text))]


def test_the_checked_in_copy_is_fresh() -> None:
    assert COPY.read_text(encoding="utf-8") == render(), "run python -m otagate.config.schema"


def test_the_page_of_every_setting_is_fresh_and_misses_none() -> None:
    text = reference.COPY.read_text(encoding="utf-8")
    assert text == reference.render(), "run python -m otagate.config.schema"
    rows = [row.strip("|").split(" | ") for row in text.splitlines() if row.startswith("| `")]
    assert {len(row) for row in rows} == {3}
    named = {row[0].strip(" `").rpartition(".")[2] for row in rows} | set(re.findall(r"^## `(\w+)`$", text, re.MULTILINE))
    assert {key for section in every_section() for key in keys_of(section)} - named == set()
    assert all(len(row[1]) > 10 for row in rows)


def test_the_document_is_a_valid_schema() -> None:
    Draft202012Validator.check_schema(document())


def test_the_packaged_configuration_names_it_in_its_first_line() -> None:
    first = PACKAGED.read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=otagate.schema.json"
    assert (PACKAGED.parent / first.rpartition("=")[2]) == COPY


@pytest.mark.parametrize(
    "text",
    [
        EVERYTHING,
        PACKAGED.read_text(),
        effective(HubSettings()),
        "api:\nradios:\nsources:\npolicy:\n  rules:\nimages:\n",
        "api: {listen: unix:/run/o.sock}",
        "images: {max_bytes: 1024}",
        "api: {tokens: [{name: a, file: 'credential:x', scopes: admin}]}",
    ],
)
def test_no_editor_complains_of_what_the_hub_takes(text: str) -> None:
    assert complaints(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "state_dri: /x",
        "state_dir: 5",
        "state_dir:",
        "state_dir: ~/x",
        "api: 8377",
        "api: {listen: []}",
        "api: {listen: localhost}",
        "api: {listen: 'http://localhost:8377'}",
        "api: {tokens: [{name: a, file: b, scopes: [root]}]}",
        "api: {tokens: [{name: a, scopes: read}]}",
        "radios: {name: z}",
        "radios: [{name: z, type: znp}]",
        "radios: [{name: Z Z, type: znp, path: /dev/x}]",
        "radios: [{name: z, type: zwave-js, path: /dev/x}]",
        "radios: [{name: z, type: znp, path: ttyUSB0}]",
        "radios: [{name: z, type: znp, path: /dev/x, parallel: 17}]",
        "radios: [{name: z, type: znp, path: /dev/x, parallel: '2'}]",
        "radios: [{name: z, type: znp, path: /dev/x, channel: 27}]",
        "sources: [{type: ledvance, url: ftp://x}]",
        "sources: [{type: directory, path: /x, refresh: 1h30m}]",
        "schedule: {interrogate: 6}",
        "images: {max_bytes: 16MB}",
        "images: {max_bytes: 5}",
        "store: {url: otagate.db}",
        "policy: {retries: -1}",
        "policy: {default: always}",
        "policy: {rules: [{match: {device: lamp}, use: {default: ask}}]}",
        "logging: {level: loud}",
    ],
)
def test_an_editor_sees_what_is_wrong(text: str) -> None:
    assert complaints(text)


@pytest.mark.parametrize("section", every_section(), ids=lambda section: section.__name__)
def test_every_key_says_what_it_is_for_and_what_it_is_without_being_given(section: type[Section]) -> None:
    schema = document()
    found: dict[str, Any] = (schema if section is HubSettings else schema["$defs"][section.__name__])["properties"]
    assert list(found) == list(keys_of(section))
    assert all(each["description"].endswith(".") for each in found.values())
    for key, default in ((key, each["default"]) for key, each in found.items() if "default" in each):
        given_in_full = {name: info.get_default() for name, info in section.model_fields.items() if not info.is_required()}
        assert section.model_construct(**given_in_full).model_dump(mode="json", include={key}) == {key: default}


@given(st.integers(1, 366 * 86_400))
def test_every_duration_that_the_hub_writes_may_be_written(seconds: int) -> None:
    text = format_duration(timedelta(seconds=seconds))
    assert parse_duration(text) == timedelta(seconds=seconds)
    assert complaints(f"schedule: {{interrogate: {text}}}") == []


def test_the_copy_lies_where_the_configuration_does() -> None:
    assert Path(__file__).parents[1] / "config" == COPY.parent
