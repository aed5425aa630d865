"""The description is valid, and says what the routes and their answers really are."""

import json
from typing import get_args

import pytest
from knocking import JSON, ask

from facegate.access.person import ROLES
from facegate.control.openapi import describe
from facegate.control.peers import Rule
from facegate.control.routes import ROUTES
from facegate.control.schemas import NewRole, Request

validator = pytest.importorskip("openapi_spec_validator", reason="needs facegate[test]")


def test_it_is_valid_openapi():
    validator.validate(describe(ROUTES), cls=validator.OpenAPIV31SpecValidator)


def test_the_validator_sees_what_is_wrong():
    wrong = describe(ROUTES)
    wrong["paths"]["/v1/people"]["get"]["parameters"] = [{"name": "x"}]
    with pytest.raises(Exception, match="required property"):
        validator.validate(wrong, cls=validator.OpenAPIV31SpecValidator)


def test_every_route_is_described_with_its_rule():
    said = {
        (method.upper(), path): operation["x-facegate-peer"]
        for path, item in describe(ROUTES)["paths"].items()
        for method, operation in item.items()
        if method != "parameters"
    }
    assert said == {(r.method, r.path): r.rule.value for r in ROUTES}


def test_operations_have_names_of_their_own():
    found = [
        operation["operationId"]
        for item in describe(ROUTES)["paths"].values()
        for method, operation in item.items()
        if method != "parameters"
    ]
    assert len(set(found)) == len(found) == len(ROUTES)


def test_it_is_served_and_printed_alike(client, facegate):
    served = ask(client, "GET", "/v1/openapi.json").json
    assert json.loads(facegate("api").out) == served == json.loads(json.dumps(describe(ROUTES)))


def test_bodies_are_strict_without_exception():
    for route in ROUTES:
        assert route.takes is None or issubclass(route.takes, Request)
    schemas = describe(ROUTES)["components"]["schemas"]
    for name in {r.takes.__name__ for r in ROUTES if r.takes}:
        assert schemas[name]["additionalProperties"] is False


def test_the_roles_are_those_of_the_store():
    assert get_args(NewRole.model_fields["role"].annotation) == ROLES


@pytest.mark.parametrize("route", ROUTES, ids=lambda r: f"{r.method} {r.path}")
def test_each_route_answers_with_a_status_it_describes(client, route):
    operation = describe(ROUTES)["paths"][route.path][route.method.lower()]
    path = route.path.replace("{name}", "Nobody")
    for body in (None, {}, {"wrong": 1}, "no json"):
        reply = ask(client, route.method, path, body, JSON if body is not None else {})
        assert str(reply.status) in operation["responses"], (route, body, reply)


def test_what_only_root_may_do():
    owner = {f"{r.method} {r.path}" for r in ROUTES if r.rule is Rule.OWNER}
    assert "PUT /v1/people/{name}/role" in owner
