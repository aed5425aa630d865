"""The description of the control socket, made of the routes and models that serve it.

Source: OpenAPI Specification 3.1.0.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from facegate.access.names import MAX_NAME_CHARS
from facegate.control.peers import Rule
from facegate.control.route import Route
from facegate.control.schemas import Failure, Request

_ABOUT = """\
HTTP/1.1 over the daemon's Unix socket, one request a connection; nothing listens on a network.

    sudo curl --unix-socket /run/facegate/control.sock http://localhost/v1/status

The kernel says who asks. `x-facegate-peer` of an operation says who may: `member` is the group
`facegate`, root and the daemon's own user; `owner` is root and the daemon's own user. To everybody
else the daemon hangs up without a byte.

What is refused is a `Failure`: with 404 also at a path that is not described here, with 405 where a
path does not offer the method. Whoever is refused with 429 or 503 asks again after as many seconds
as Retry-After says; unlocking, locking and lockdowns are refused last."""

_ALWAYS = {
    HTTPStatus.BAD_REQUEST: "not HTTP, not JSON, or mistakes in the body, all of them at once",
    HTTPStatus.FORBIDDEN: "not for this user",
    HTTPStatus.METHOD_NOT_ALLOWED: "the path does not offer the method; see Allow",
    HTTPStatus.REQUEST_TIMEOUT: "the request came too slowly",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: "request line and headers are too long",
    HTTPStatus.TOO_MANY_REQUESTS: "this user asks too often; see Retry-After",
    HTTPStatus.INTERNAL_SERVER_ERROR: "a defect of facegate, written to the journal",
    HTTPStatus.SERVICE_UNAVAILABLE: "store or hardware fail, or too many connections at once",
}
_WITH_BODY = {
    HTTPStatus.LENGTH_REQUIRED: "a body without Content-Length",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "the body is too long",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "the body is not application/json",
}
_CHANGING = {
    HTTPStatus.CONFLICT: "the name is taken, the model is another, or the door does not let it",
    HTTPStatus.UNPROCESSABLE_ENTITY: "understood, but it cannot be done: the error says why",
}
_WAIT = {
    "description": "after so many seconds to ask again",
    "schema": {"type": "integer", "minimum": 1},
}
_HEADERS = {
    HTTPStatus.METHOD_NOT_ALLOWED: {
        "Allow": {"description": "the methods that it does", "schema": {"type": "string"}}
    },
    HTTPStatus.TOO_MANY_REQUESTS: {"Retry-After": _WAIT},
    HTTPStatus.SERVICE_UNAVAILABLE: {"Retry-After": _WAIT},
}
_NOT_FOUND = {HTTPStatus.NOT_FOUND: "nobody of this name is enrolled"}


def describe(routes: Sequence[Route[Any]]) -> dict[str, Any]:
    """Give the OpenAPI 3.1 document of some routes."""
    failure = TypeAdapter(Failure)
    inputs: list[tuple[Any, JsonSchemaMode, TypeAdapter[Any]]] = [
        ("failure", "serialization", failure)
    ]
    for number, route in enumerate(routes):
        inputs.append((("gives", number), "serialization", route.adapter))
        if route.takes is not None:
            inputs.append((("takes", number), "validation", TypeAdapter(route.takes)))
    schemas, shared = TypeAdapter.json_schemas(inputs, ref_template="#/components/schemas/{model}")
    wrong = _json(schemas["failure", "serialization"])
    paths: dict[str, Any] = {}
    for number, route in enumerate(routes):
        gives = schemas[("gives", number), "serialization"]
        kind = "application/x-ndjson" if route.streams else "application/json"
        refused = _refused(route)
        operation: dict[str, Any] = {
            "operationId": _operation_id(route),
            "summary": route.summary,
            "x-facegate-peer": route.rule.value,
            "responses": {
                "200": {"description": "done", "content": {kind: {"schema": gives}}},
                **{
                    str(status.value): {
                        "description": why,
                        "content": wrong,
                        **({"headers": _HEADERS[status]} if status in _HEADERS else {}),
                    }
                    for status, why in sorted(refused.items())
                },
            },
        }
        if route.takes is not None:
            operation["requestBody"] = {
                "required": not route.takes.may_be_empty(),
                "content": _json(schemas[("takes", number), "validation"]),
            }
        if route.asks is not None:
            operation["parameters"] = _query_parameters(route.asks)
        item = paths.setdefault(route.path, {})
        item[route.method.lower()] = operation
        if names := re.findall(r"\{(\w+)\}", route.path):
            item["parameters"] = [_parameter(name) for name in names]
    return {
        "openapi": "3.1.0",
        "info": {"title": "facegate", "version": version("facegate"), "description": _ABOUT},
        "servers": [{"url": "http://localhost"}],
        "paths": paths,
        "components": {"schemas": shared.get("$defs", {})},
    }


def _refused(route: Route[Any]) -> dict[HTTPStatus, str]:
    refused = dict(_ALWAYS)
    if route.takes is not None:
        refused |= _WITH_BODY
    if route.takes is not None or route.changes:
        refused |= _CHANGING
    if "{name}" in route.path or (route.takes and "name" in route.takes.model_fields):
        refused |= _NOT_FOUND
    if route.rule is Rule.MEMBER and not route.changes:
        del refused[HTTPStatus.FORBIDDEN]
    return refused


def _operation_id(route: Route[Any]) -> str:
    words = re.findall(r"\w+", route.path.removeprefix("/v1/"))
    return "_".join([route.method.lower(), *words])


def _parameter(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "schema": {"type": "string", "minLength": 1, "maxLength": MAX_NAME_CHARS},
    }


def _query_parameters(asks: type[Request]) -> list[dict[str, Any]]:
    parameters = []
    for name, schema in asks.model_json_schema()["properties"].items():
        shape = next(s for s in schema["anyOf"] if s["type"] != "null")  # None is: left away
        said = {"description": schema["description"], "schema": shape}
        parameters.append({"name": name, "in": "query", "required": False, **said})
    return parameters


def _json(schema: Any) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}
