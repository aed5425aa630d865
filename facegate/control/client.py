"""Talk to the daemon over its control socket."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

from facegate import errors
from facegate.access.likeness import Likeness
from facegate.access.names import clean_name
from facegate.access.person import Person
from facegate.errors import DaemonError, FacegateError, InputError
from facegate.types import F32, Identity

ANSWER_TIMEOUT_S = 10.0
LONGEST_WAIT_S = 5.0
PATIENCE = 10
"""How often it is asked anew where the daemon says that it was asked too often."""


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class ControlClient:
    """One daemon, by the path of its socket.

    Every call raises what the daemon raised, as the same class of `facegate.errors`, and
    DaemonError where no daemon answers or its answer breaks off. A call waits for
    `ANSWER_TIMEOUT_S`, an enrolment for its own time beyond that.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def running(self) -> bool:
        """Whether a daemon answers; a socket that may not be opened counts as one.

        Raises:
            DaemonError: a daemon is there, but this user may not talk to it.
        """
        try:
            if not self.path.exists():
                return False
        except PermissionError:
            raise self._denied() from None
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(self.path))
            except PermissionError:
                raise self._denied() from None
            except OSError:
                return False
        return True

    def _denied(self) -> DaemonError:
        return DaemonError(
            f"{self.path}: you may not talk to the daemon; use sudo, or join the group facegate"
        )

    def status(self) -> dict[str, Any]:
        """Ask how the gate is doing; the keys are those of `schemas.Status`, and more."""
        answer = self._call("GET", "/v1/status")
        return dict(answer)

    def people(self) -> list[Person]:
        """List who is enrolled."""
        return [Person(**p) for p in self._call("GET", "/v1/people")]

    def likenesses(self) -> list[Likeness]:
        """Ask how alike everybody's looks are; distances are told to root alone."""
        return [Likeness(**found) for found in self._call("GET", "/v1/likenesses")]

    def add(
        self,
        name: str,
        vectors: list[F32],
        model_id: str,
        allow_duplicate: bool,
        more: bool = False,
    ) -> Person:
        """Enrol from embeddings, or add to those of somebody enrolled.

        Args:
            name: who it is.
            vectors: float32 (D,) each, unit length.
            model_id: the embedder that made them; it must be the daemon's.
            allow_duplicate: even if the face is enrolled under another name.
            more: whether they are added to those of somebody enrolled.
        """
        body = {
            "name": clean_name(name),
            "vectors": [v.tolist() for v in vectors],
            "model_id": model_id,
            "allow_duplicate": allow_duplicate,
            "more": more,
        }
        return Person(**self._call("POST", "/v1/people", body))

    def identify(self, vectors: list[F32], model_id: str) -> list[Identity]:
        """Ask who embeddings, float32 (D,) of unit length, are; one look each."""
        body = {"vectors": [v.tolist() for v in vectors], "model_id": model_id}
        found = self._call("POST", "/v1/identities", body)
        return [Identity(**{**i, "between": tuple(i["between"])}) for i in found]

    def rename(self, old: str, new: str) -> Person:
        """Rename a person."""
        return Person(**self._call("PATCH", _of(old), {"name": clean_name(new)}))

    def set_role(self, name: str, role: str) -> Person:
        """Give a person another role."""
        path = f"{_of(name)}/role"
        return Person(**self._call("PUT", path, {"role": role}))

    def set_group(self, name: str, group: str | None) -> Person:
        """Put a person into a group, or into none."""
        path = f"{_of(name)}/group"
        return Person(**self._call("PUT", path, {"group": group}))

    def set_note(self, name: str, note: str) -> Person:
        """Write something down about a person."""
        path = f"{_of(name)}/note"
        return Person(**self._call("PUT", path, {"note": note}))

    def set_until(self, name: str, until_wall: float | None) -> Person:
        """Say from when on a person is not let in, seconds since the epoch; None is never."""
        path = f"{_of(name)}/until"
        return Person(**self._call("PUT", path, {"until_wall": until_wall}))

    def unlock(self, for_s: float | None = None) -> dict[str, Any]:
        """Release the strike for one pulse, or for so many seconds; gives `schemas.DoorNow`."""
        body = {} if for_s is None else {"for_s": for_s}
        return dict(self._call("POST", "/v1/door/unlock", body))

    def lock(self) -> dict[str, Any]:
        """Keep the door unlocked no longer; gives `schemas.DoorNow`."""
        return dict(self._call("POST", "/v1/door/lock", {}))

    def enter_pin(self, pin: str) -> None:
        """Type the PIN as the second factor of the face before the door."""
        self._call("POST", "/v1/door/pin", {"pin": pin})

    def set_pin(self, pin: str) -> None:
        """Give the door a new PIN."""
        self._call("PUT", "/v1/door/pin", {"pin": pin})

    def lockdown(self, on: bool) -> dict[str, Any]:
        """Begin or end a lockdown; gives `schemas.DoorNow`."""
        return dict(self._call("POST", "/v1/door/lockdown", {"on": on}))

    def remove(self, name: str) -> Person:
        """Remove a person."""
        return Person(**self._call("DELETE", _of(name)))

    def enrol(
        self,
        name: str,
        allow_duplicate: bool,
        timeout_s: float,
        progress: Callable[[int, str], None],
        more: bool = False,
    ) -> Person:
        """Enrol the person in front of the daemon's camera; blocks until done.

        Args:
            name: who it is.
            allow_duplicate: even if the face is enrolled under another name.
            timeout_s: seconds after which the daemon gives up (`enrolment.timeout_s`).
            progress: told of every step: looks so far, and what to do next.
            more: whether the looks are added to those of somebody enrolled.
        """
        body = {"name": clean_name(name), "allow_duplicate": allow_duplicate, "more": more}
        with_margin_s = timeout_s + ANSWER_TIMEOUT_S
        connection, response = self._request("POST", "/v1/enrolments", body, with_margin_s)
        try:
            for raw in response:
                line = json.loads(raw)
                if "error" in line:
                    raise _rebuild(line)
                if "person" in line:
                    return Person(**line["person"])
                progress(line["captured"], line["guidance"])
        except OSError as error:
            raise DaemonError(f"{self.path}: the daemon hung up: {error}") from error
        finally:
            connection.close()
        raise DaemonError(f"{self.path}: the daemon hung up before {name} was enrolled")

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        status, answer, later_s = self._ask(method, path, body)
        for _ in range(PATIENCE):
            if status != HTTPStatus.TOO_MANY_REQUESTS or later_s > LONGEST_WAIT_S:
                break
            time.sleep(later_s)
            status, answer, later_s = self._ask(method, path, body)
        if status != HTTPStatus.OK:
            raise _rebuild(answer)
        return answer

    def _ask(self, method: str, path: str, body: dict[str, Any] | None) -> tuple[int, Any, float]:
        """Give status and answer, and after how many seconds to ask again if it was too often."""
        connection, response = self._request(method, path, body, ANSWER_TIMEOUT_S)
        try:
            answer = json.loads(response.read())
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise DaemonError(f"{self.path}: the daemon's answer broke off: {error}") from error
        finally:
            connection.close()
        return response.status, answer, float(response.headers.get("Retry-After", 1))

    def _request(
        self, method: str, path: str, body: dict[str, Any] | None, timeout_s: float
    ) -> tuple[_Connection, http.client.HTTPResponse]:
        connection = _Connection(self.path, timeout_s)
        try:
            data = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            connection.close()
            raise InputError("what was typed is no UTF-8 text; type it again") from error
        try:
            connection.connect()
        except PermissionError:
            connection.close()
            raise self._denied() from None
        except OSError as error:
            connection.close()
            raise DaemonError(
                f"{self.path}: no daemon answers ({error}); start it with `facegate run`"
            ) from error
        try:
            # Whoever is refused before all was sent still finds the answer waiting.
            with suppress(ConnectionError):
                connection.request(method, path, data, {"Content-Type": "application/json"})
            return connection, connection.getresponse()
        except ConnectionError as error:
            connection.close()
            raise DaemonError(
                f"{self.path}: the daemon hung up and answered nothing; this user may not be in "
                "the group facegate: `sudo adduser $USER facegate`, then log in anew"
            ) from error
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise DaemonError(
                f"{self.path}: the daemon gives no answer ({error}); see `journalctl -u facegate`"
            ) from error


def _of(name: str) -> str:
    """Give the path of a person.

    Raises:
        InputError: nobody can be called so.
    """
    return f"/v1/people/{quote(clean_name(name), safe='')}"


def _rebuild(answer: dict[str, Any]) -> FacegateError:
    """Turn the daemon's error back into the one it raised."""
    kind = getattr(errors, str(answer.get("kind", "")), DaemonError)
    if not (isinstance(kind, type) and issubclass(kind, FacegateError)):
        kind = DaemonError
    error: FacegateError = kind(str(answer.get("error", "unknown error")))
    return error
