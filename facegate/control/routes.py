"""What the control socket offers: status, people, enrolment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Protocol

import numpy as np

from facegate.access.gallery import VECTOR_FLOATS
from facegate.control.server import Answer, Body, Route
from facegate.errors import InputError
from facegate.types import F32


class Gatekeeper(Protocol):
    """The part of the daemon that the socket reaches."""

    def status(self) -> dict[str, object]:
        """Say how the gate is doing."""
        ...

    def people(self) -> list[Any]:
        """List who is enrolled."""
        ...

    def add(self, name: str, vectors: list[F32], model_id: str, allow_duplicate: bool) -> Any:
        """Enrol from embeddings."""
        ...

    def identify(self, vectors: list[F32], model_id: str) -> list[Any]:
        """Say who embeddings are."""
        ...

    def enrol(self, name: str, allow_duplicate: bool, progress: Callable[[int, str], None]) -> Any:
        """Enrol with the camera."""
        ...

    def rename(self, old: str, new: str) -> Any:
        """Rename a person."""
        ...

    def set_role(self, name: str, role: str) -> Any:
        """Give a person another role."""
        ...

    def unlock(self) -> None:
        """Release the strike for one pulse."""
        ...

    def enter_pin(self, pin: str) -> None:
        """Take a PIN as the second factor."""
        ...

    def set_pin(self, pin: str) -> None:
        """Give the door a new PIN."""
        ...

    def lockdown(self, on: bool) -> None:
        """Begin or end a lockdown."""
        ...

    def remove(self, name: str) -> Any:
        """Forget a person."""
        ...


def routes(gate: Gatekeeper) -> list[Route]:
    """Give the routes, each bound to `gate`."""

    def status(_: Body, __: Body) -> Answer:
        return gate.status()

    def people(_: Body, __: Body) -> Answer:
        return [asdict(p) for p in gate.people()]

    def add(_: Body, body: Body) -> Answer:
        vectors = take_vectors(body)
        duplicate = take(body, "allow_duplicate", bool, False)
        return asdict(
            gate.add(take(body, "name", str), vectors, take(body, "model_id", str), duplicate)
        )

    def identify(_: Body, body: Body) -> Answer:
        found = gate.identify(take_vectors(body), take(body, "model_id", str))
        return [asdict(identity) for identity in found]

    def enrol(_: Body, body: Body, send: Callable[[Body], None]) -> Answer:
        person = gate.enrol(
            take(body, "name", str),
            take(body, "allow_duplicate", bool, False),
            lambda captured, guidance: send({"captured": captured, "guidance": guidance}),
        )
        return {"person": asdict(person)}

    def change(named: Body, body: Body) -> Answer:
        if "role" in body:
            return asdict(gate.set_role(named["name"], take(body, "role", str)))
        return asdict(gate.rename(named["name"], take(body, "name", str)))

    def unlock(_: Body, __: Body) -> Answer:
        gate.unlock()
        return {}

    def enter_pin(_: Body, body: Body) -> Answer:
        gate.enter_pin(take(body, "pin", str))
        return {}

    def set_pin(_: Body, body: Body) -> Answer:
        gate.set_pin(take(body, "pin", str))
        return {}

    def lockdown(_: Body, body: Body) -> Answer:
        gate.lockdown(take(body, "on", bool))
        return {}

    def remove(named: Body, _: Body) -> Answer:
        return asdict(gate.remove(named["name"]))

    return [
        Route("GET", "/v1/status", status),
        Route("GET", "/v1/people", people),
        Route("POST", "/v1/people", add),
        Route("PATCH", "/v1/people/{name}", change),
        Route("DELETE", "/v1/people/{name}", remove),
        Route("POST", "/v1/door/unlock", unlock),
        Route("POST", "/v1/door/lockdown", lockdown),
        Route("POST", "/v1/door/pin", enter_pin),
        Route("PUT", "/v1/door/pin", set_pin),
        Route("POST", "/v1/identities", identify),
        Route("POST", "/v1/enrolments", enrol, streams=True),
    ]


def take(body: Body, key: str, kind: type, default: Any = None) -> Any:
    """Take a value of a given type out of a request.

    Raises:
        InputError: it is missing without a default, or of another type.
    """
    value = body.get(key, default)
    if not isinstance(value, kind):
        raise InputError(f"{key}: must be given as {kind.__name__}")
    return value


def take_vectors(body: Body) -> list[F32]:
    """Take embeddings out of a request: float32 (128,) each.

    Raises:
        InputError: they are not lists of as many numbers.
    """
    try:
        arrays = [np.array(v, np.float32) for v in take(body, "vectors", list)]
    except (TypeError, ValueError):
        raise InputError("vectors: must be lists of numbers") from None
    for array in arrays:
        if array.shape != (VECTOR_FLOATS,) or not np.isfinite(array).all():
            raise InputError(f"vectors: must be lists of {VECTOR_FLOATS} finite numbers")
    return arrays
