"""The OpenAPI document: valid, complete, fresh, and true."""

from __future__ import annotations

from typing import Any, get_args

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from otagate.api.openapi import COPY, ROUTES, document, render
from otagate.model.facts import Subject
from otagate.model.lifecycle import State
from otagate.model.rollouts import RolloutId
from tests.api.calls import PROMISED, address, anonymous
from tests.api.conftest import Hall
from tests.api.counter import IMAGE_MAGIC, LAMP, failed, rollout, update
from tests.api.test_images import form


def test_the_document_is_valid_openapi() -> None:
    OpenAPIV31SpecValidator(document()).validate()


def test_every_promised_call_is_described_and_nothing_else() -> None:
    described = {(method.upper(), anonymous(path)) for path, operations in document()["paths"].items() for method in operations}
    assert described == set(PROMISED)


def test_the_checked_in_copy_is_fresh() -> None:
    assert COPY.read_text(encoding="utf-8") == render(), "run python -m otagate.api.openapi"


def test_every_call_has_a_sentence_and_a_name_of_its_own() -> None:
    operations = [each for path in document()["paths"].values() for each in path.values()]
    assert len({each["operationId"] for each in operations}) == len(operations)
    assert all(len(each["summary"]) > 10 for each in operations)


def test_paths_and_coroutines_agree_on_their_parameters() -> None:
    for route in ROUTES:
        named = {part[1:-1] for part in route.path.split("/") if part.startswith("{")}
        assert set(route.parameters) - {"query", "body"} == named, route.path


def test_every_kind_of_event_is_described() -> None:
    told = document()["paths"]["/api/v1/events"]["get"]["description"]
    assert [kind for kind in get_args(Subject) if f"`{kind}`" not in told] == []


def test_the_limit_of_a_page_is_told() -> None:
    parameters = document()["paths"]["/api/v1/devices"]["get"]["parameters"]
    assert next(each["schema"]["maximum"] for each in parameters if each["name"] == "limit") == 500


@pytest.mark.asyncio
async def test_answers_are_as_described(hall: Hall) -> None:
    """Real answers are held against the document that the hub itself hands out."""
    spec = await hall.json("GET", "/api/v1/openapi.json")
    hall.desk.jobs["u0001"] = failed(1)
    image = await hall.json("POST", "/api/v1/images", status=201, data=form(IMAGE_MAGIC + b"x"))
    bodies: dict[str, Any] = {
        "/api/v1/updates": {"devices": [LAMP, "zigbee-0000000000000001"]},
        "/api/v1/rollouts": {"name": "lamps", "select": {}},
        "/api/v1/activations": {"updates": ["u0001"]},
        "/api/v1/updates/u0001": {"priority": "high"},
    }
    seen = 0
    for route in ROUTES:
        if route.multipart or route.method == "DELETE" or not any(isinstance(kind, type) for kind in route.answers.values()):
            continue
        path = address(route, image=image["sha256"])
        hall.desk.campaigns[RolloutId("r000001")] = rollout(1)
        hall.desk.jobs["u0001"] = update(1, state=State.FAILED) if path.endswith("retry") else hall.desk.jobs["u0001"]
        async with hall.client.request(
            route.method, hall.base + path, json=bodies.get(path, {}) if route.method in {"POST", "PATCH"} else None
        ) as response:
            answer = await response.json()
            described = spec["paths"][route.path][route.method.lower()]["responses"][str(response.status)]["content"][response.content_type]
            assert response.status in route.answers, answer
            schema = {"components": spec["components"], **described["schema"]}
            jsonschema.Draft202012Validator(schema).validate(answer)
            seen += 1
    assert seen == 52


@pytest.mark.asyncio
async def test_a_call_without_a_body_is_understood_where_the_document_lets_it_out_and_refused_elsewhere(hall: Hall) -> None:
    spec = await hall.json("GET", "/api/v1/openapi.json")
    refused = set()
    for route in ROUTES:
        described = spec["paths"][route.path][route.method.lower()].get("requestBody")
        if described is None or route.multipart:
            continue
        async with hall.client.request(route.method, hall.base + address(route)) as response:
            assert (response.status == 422) is described["required"], (route.path, await response.text())
            refused |= {route.path} if response.status == 422 else set()
    assert refused >= {"/api/v1/updates", "/api/v1/rollouts", "/api/v1/activations"}


@pytest.mark.asyncio
async def test_problems_are_as_described(hall: Hall) -> None:
    spec = await hall.json("GET", "/api/v1/openapi.json")
    schema = {"components": spec["components"], "$ref": "#/components/schemas/Problem"}
    document = await hall.problem("GET", "/api/v1/devices?limit=0", status=422, slug="invalid-request")
    del document["_headers"]
    jsonschema.Draft202012Validator(schema).validate(document)
