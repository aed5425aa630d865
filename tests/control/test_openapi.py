"""The description is valid, and says what the routes and their answers really are."""

import json
from typing import get_args

import pytest
from knocking import JSON, ask

from facegate.access.door_events import DoorState
from facegate.access.names import MAX_NAME_CHARS
from facegate.access.person import ROLES
from facegate.control.openapi import describe
from facegate.control.peers import Rule
from facegate.control.routes import ROUTES
from facegate.control.schemas import NewRole, Request
from facegate.hardware.panel import PanelState

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
    description = describe(ROUTES)
    person = description["components"]["schemas"]["Person"]
    assert person["properties"]["role"]["enum"] == list(ROLES)
    gives = description["paths"]["/v1/people"]["get"]["responses"]["200"]["content"]
    assert gives["application/json"]["schema"]["items"]["$ref"].endswith("/Person")


def test_what_door_and_panel_can_be_is_described():
    schemas = describe(ROUTES)["components"]["schemas"]
    panel = schemas["Status"]["properties"]["panel"]["enum"]
    assert panel == [state.value for state in PanelState]
    assert schemas["DoorState"]["enum"] == [state.value for state in DoorState]
    for answer in ("Status", "DoorNow"):
        assert schemas[answer]["properties"]["door"]["$ref"].endswith("/DoorState")


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


def test_how_long_to_wait_and_what_is_offered_are_headers():
    for item in describe(ROUTES)["paths"].values():
        for operation in (item[m] for m in item if m != "parameters"):
            headers = {
                status: list(response.get("headers", {}))
                for status, response in operation["responses"].items()
            }
            assert {s: h for s, h in headers.items() if h} == {
                "405": ["Allow"],
                "429": ["Retry-After"],
                "503": ["Retry-After"],
            }


def test_names_are_as_long_as_the_store_takes_them():
    description = describe(ROUTES)
    (in_path,) = description["paths"]["/v1/people/{name}"]["parameters"]
    in_body = description["components"]["schemas"]["NewName"]["properties"]["name"]
    assert in_path["schema"]["maxLength"] == in_body["maxLength"] == MAX_NAME_CHARS


def test_a_query_is_described():
    paths = describe(ROUTES)["paths"]
    after, start = paths["/v1/events"]["get"]["parameters"]
    assert (start["name"], start["schema"]["type"]) == ("start", "string")
    assert (after["name"], after["in"], after["required"]) == ("after", "query", False)
    assert after["schema"] == {"type": "integer", "minimum": 0}
    asking = [p for p, item in paths.items() if any("parameters" in o for o in item.values())]
    assert asking == ["/v1/events"]
