"""What the control socket offers, and to whom.

Looking, and what an operator does from day to day, is for the group `facegate`. Roles and groups,
what concerns an administrator, and the door's PIN are for root and the daemon's own user. So is
asking who embeddings are: the distances of some hundred chosen ones give a template away.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus
from typing import Any, Protocol

from facegate.access.directory import Directory
from facegate.access.likeness import Likeness
from facegate.access.person import names_an_admin
from facegate.access.store import Person
from facegate.control import openapi, schemas
from facegate.control.following import follow
from facegate.control.peers import Rule
from facegate.control.route import Call, Refusal, Route
from facegate.types import F32, Identity


class Gatekeeper(Directory, Protocol):
    """The part of the daemon that the socket reaches; what it raises becomes the answer.

    Embeddings are float32 (D,) each, of unit length.
    """

    def status(self) -> dict[str, object]:
        """Say how the gate is doing."""
        ...

    def add(
        self,
        name: str,
        vectors: list[F32],
        model_id: str,
        allow_duplicate: bool,
        more: bool,
        admins: bool,
    ) -> Person:
        """Enrol from embeddings, or add to those of somebody enrolled; an administrator if said."""
        ...

    def identify(self, vectors: list[F32], model_id: str) -> list[Identity]:
        """Say who embeddings are."""
        ...

    def enrol(
        self,
        name: str,
        allow_duplicate: bool,
        progress: Callable[[int, str], None],
        more: bool,
        admins: bool,
    ) -> Person:
        """Enrol with the camera, or add to somebody's looks; an administrator's only if said."""
        ...

    def unlock(self, for_s: float | None) -> None:
        """Release the strike for one pulse, or for so many seconds."""
        ...

    def lock(self) -> None:
        """Keep the door unlocked no longer."""
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


def _likenesses(gate: Gatekeeper, call: Call) -> list[Likeness]:
    found = gate.likenesses()
    if call.peer.fulfils(Rule.OWNER):
        return found
    return [replace(one, spread=None, distance=None) for one in found]


def _add(gate: Gatekeeper, call: Call) -> Person:
    new: schemas.NewPerson = call.body
    _spare_admins(gate, call, new.name, "enrol")
    admins = call.peer.fulfils(Rule.OWNER)
    return gate.add(new.name, new.arrays(), new.model_id, new.allow_duplicate, new.more, admins)


def _enrol(gate: Gatekeeper, call: Call) -> schemas.Enrolled:
    new: schemas.NewEnrolment = call.body
    _spare_admins(gate, call, new.name, "enrol")

    def tell(captured: int, guidance: str) -> None:
        call.send(schemas.Progress(captured=captured, guidance=guidance))

    admins = call.peer.fulfils(Rule.OWNER)
    person = gate.enrol(new.name, new.allow_duplicate, tell, new.more, admins)
    return schemas.Enrolled(person=person)


def _rename(gate: Gatekeeper, call: Call) -> Person:
    name = call.named["name"]
    _spare_admins(gate, call, name, "rename")
    return gate.rename(name, call.body.name)


def _remove(gate: Gatekeeper, call: Call) -> Person:
    name = call.named["name"]
    _spare_admins(gate, call, name, "remove")
    return gate.remove(name)


def _set_until(gate: Gatekeeper, call: Call) -> Person:
    name = call.named["name"]
    _spare_admins(gate, call, name, "change the pass of")
    return gate.set_until(name, call.body.until_wall)


def _spare_admins(gate: Gatekeeper, call: Call, name: str, verb: str) -> None:
    """Refuse what would make somebody else an administrator, or one less, to all but root.

    An administrator whose templates a new model made useless waits to be enrolled again: whoever
    is enrolled under that name is an administrator. Given the name of somebody who stands before
    the camera at this moment, they would be that person.
    """
    if not call.peer.fulfils(Rule.OWNER) and names_an_admin(name, gate.people()):
        raise Refusal(HTTPStatus.FORBIDDEN, f"only root may {verb} an administrator; use sudo")


def _door_now(gate: Gatekeeper) -> schemas.DoorNow:
    return schemas.DoorNow.model_validate(gate.status())


def _unlock(gate: Gatekeeper, call: Call) -> schemas.DoorNow:
    gate.unlock(call.body.for_s)
    return _door_now(gate)


def _lock(gate: Gatekeeper, _: Call) -> schemas.DoorNow:
    gate.lock()
    return _door_now(gate)


def _enter_pin(gate: Gatekeeper, call: Call) -> schemas.Done:
    gate.enter_pin(call.body.pin)
    return schemas.Done()


def _set_pin(gate: Gatekeeper, call: Call) -> schemas.Done:
    gate.set_pin(call.body.pin)
    return schemas.Done()


def _lockdown(gate: Gatekeeper, call: Call) -> schemas.DoorNow:
    gate.lockdown(call.body.on)
    return _door_now(gate)


ROUTES: tuple[Route[Gatekeeper], ...] = (
    Route(
        "GET",
        "/v1/status",
        "How the gate is doing",
        lambda gate, _: schemas.Status.model_validate(gate.status()),
        schemas.Status,
        changes=False,
    ),
    Route(
        "GET",
        "/v1/events",
        "What happens, line by line: what was kept after a number, then each event as it comes",
        follow,
        schemas.Happened | schemas.Quiet | schemas.Failure,
        asks=schemas.After,
        streams=True,
        changes=False,
    ),
    Route(
        "GET",
        "/v1/people",
        "Who is enrolled",
        lambda gate, _: gate.people(),
        list[schemas.Somebody],
        changes=False,
    ),
    Route(
        "POST",
        "/v1/people",
        "Enrol from embeddings made elsewhere with the same model",
        _add,
        schemas.Somebody,
        takes=schemas.NewPerson,
    ),
    Route(
        "GET",
        "/v1/likenesses",
        "How alike everybody is to themselves and to the next person; distances only for root",
        _likenesses,
        list[Likeness],
        changes=False,
    ),
    Route(
        "PATCH",
        "/v1/people/{name}",
        "Give a person another name; an administrator only for root",
        _rename,
        schemas.Somebody,
        takes=schemas.NewName,
    ),
    Route(
        "PUT",
        "/v1/people/{name}/role",
        "Give a person another role",
        lambda gate, call: gate.set_role(call.named["name"], call.body.role),
        schemas.Somebody,
        takes=schemas.NewRole,
        rule=Rule.OWNER,
    ),
    Route(
        "PUT",
        "/v1/people/{name}/group",
        "Put a person into a group of schedule.groups, or into none",
        lambda gate, call: gate.set_group(call.named["name"], call.body.group),
        schemas.Somebody,
        takes=schemas.NewGroup,
        rule=Rule.OWNER,
    ),
    Route(
        "PUT",
        "/v1/people/{name}/note",
        "Write something down about a person",
        lambda gate, call: gate.set_note(call.named["name"], call.body.note),
        schemas.Somebody,
        takes=schemas.NewNote,
    ),
    Route(
        "PUT",
        "/v1/people/{name}/until",
        "Say from when on a person is not let in, or never; an administrator only for root",
        _set_until,
        schemas.Somebody,
        takes=schemas.NewEnd,
    ),
    Route(
        "DELETE",
        "/v1/people/{name}",
        "Remove a person; an administrator only for root",
        _remove,
        schemas.Somebody,
    ),
    Route(
        "POST",
        "/v1/identities",
        "Say who embeddings are, one look each",
        lambda gate, call: gate.identify(call.body.arrays(), call.body.model_id),
        list[Identity],
        takes=schemas.Templates,
        rule=Rule.OWNER,
    ),
    Route(
        "POST",
        "/v1/enrolments",
        "Enrol the person before the gate's camera, with guidance line by line",
        _enrol,
        schemas.Progress | schemas.Enrolled | schemas.Failure,
        takes=schemas.NewEnrolment,
        streams=True,
    ),
    Route(
        "POST",
        "/v1/door/unlock",
        "Release the strike for one pulse, or for a time",
        _unlock,
        schemas.DoorNow,
        takes=schemas.Unlocking,
        urgent=True,
    ),
    Route(
        "POST",
        "/v1/door/lock",
        "End the time for which the door was unlocked",
        _lock,
        schemas.DoorNow,
        takes=schemas.Nothing,
        urgent=True,
    ),
    Route(
        "POST",
        "/v1/door/lockdown",
        "Keep faces and unlock hours out, or end that",
        _lockdown,
        schemas.DoorNow,
        takes=schemas.Lockdown,
        urgent=True,
    ),
    Route(
        "POST",
        "/v1/door/pin",
        "Take a PIN as the second factor of the face before the door",
        _enter_pin,
        schemas.Done,
        takes=schemas.Pin,
    ),
    Route(
        "PUT",
        "/v1/door/pin",
        "Give the door a new PIN",
        _set_pin,
        schemas.Done,
        takes=schemas.Pin,
        rule=Rule.OWNER,
    ),
    Route(
        "GET",
        "/v1/openapi.json",
        "This description",
        lambda _, __: openapi.describe(ROUTES),
        dict[str, Any],
        changes=False,
    ),
)
