"""What people may ask of the gate while it runs: who is enrolled, the door, how it is doing.

The control socket calls this from threads of its own; what touches the door goes to the act thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from facegate import parts
from facegate.access.door import Door
from facegate.access.door_events import DoorEvent
from facegate.access.likeness import Likeness, likenesses
from facegate.access.lockdown import LockdownMark
from facegate.access.passes import said
from facegate.access.pin import PinFile
from facegate.access.policy import identity_of
from facegate.access.store import Person, Store
from facegate.config import Config
from facegate.doorkeeper import DoorKeeper
from facegate.enroller import Enroller
from facegate.errors import DaemonError, InputError, ModelError, StoreError
from facegate.journal import Journal
from facegate.roster import Roster
from facegate.sentences import WHY
from facegate.types import F32, Identity


class Commands:
    """Does what was asked, and writes to the journal that it was done.

    Args:
        config: settings; replaced when they are read again.
        vision: networks, for the model that embeddings must be of.
        store: enrolled people.
        roster: the same in memory; every change is in force when the command returns.
        enroller: enrols before the camera.
        keeper: of the door.
        journal: where events go.
        status: says how the gate is doing.
    """

    def __init__(
        self,
        config: Config,
        vision: parts.Vision,
        store: Store,
        roster: Roster,
        enroller: Enroller,
        keeper: DoorKeeper,
        journal: Journal,
        status: Callable[[], dict[str, object]],
    ) -> None:
        self.config, self._vision, self._store = config, vision, store
        self._roster, self._enroller, self._keeper = roster, enroller, keeper
        self._journal = journal
        self._pin = PinFile(config.pin_path)
        self._lockdown = LockdownMark(config.lockdown_path)
        self._locking_down = threading.Lock()
        self.status = status

    def add(
        self,
        name: str,
        vectors: list[F32],
        model_id: str,
        allow_duplicate: bool = False,
        more: bool = False,
        admins: bool = True,
    ) -> Person:
        """Enrol a person from embeddings made elsewhere with the same model, or add to one's."""
        self._check_model(model_id)
        return self._enroller.add(name, vectors, allow_duplicate, more=more, admins=admins)

    def enrol(
        self,
        name: str,
        allow_duplicate: bool,
        progress: Callable[[int, str], None],
        more: bool = False,
        admins: bool = True,
    ) -> Person:
        """Enrol the person in front of the camera, or add to their looks; blocks until done."""
        return self._enroller.enrol(name, allow_duplicate, progress, more=more, admins=admins)

    def identify(self, vectors: list[F32], model_id: str) -> list[Identity]:
        """Say who embeddings made elsewhere with the same model are, one look each."""
        self._check_model(model_id)
        now = self._roster.now
        return [
            identity_of(
                now.matcher.match(v),
                now.names,
                now.limits,
                self._vision.calibration.probability,
            )
            for v in vectors
        ]

    def _check_model(self, model_id: str) -> None:
        if model_id != self._vision.model_id:
            raise ModelError(
                f"embeddings of model {model_id}, the daemon runs {self._vision.model_id}; "
                "use the same models.embedder"
            )

    def rename(self, old: str, new: str) -> Person:
        """Give a person another name."""
        with self._roster.changing():
            person = self._store.rename(old, new)
        self._journal.emit(
            "person_renamed", f"now {person.name}", called=[person.name], person=person.person_id
        )
        return person

    def remove(self, name: str) -> Person:
        """Remove a person."""
        person = self._roster.remove(name)
        self._journal.emit("person_removed", f"person {person.person_id}", person=person.person_id)
        return person

    def set_role(self, name: str, role: str) -> Person:
        """Give a person another role."""
        with self._roster.changing():
            person = self._store.set_role(name, role)
        self._journal.emit("role_changed", f"now {role}", person=person.person_id)
        return person

    def set_group(self, name: str, group: str | None) -> Person:
        """Put a person into a group, or into none."""
        with self._roster.changing():
            person = self._store.set_group(name, group)
        self._journal.emit("group_changed", f"now {group or 'none'}", person=person.person_id)
        return person

    def set_note(self, name: str, note: str) -> Person:
        """Write something down about a person."""
        with self._roster.changing():
            person = self._store.set_note(name, note)
        self._journal.emit("note_changed", f"person {person.person_id}", person=person.person_id)
        return person

    def set_until(self, name: str, until_wall: float | None) -> Person:
        """Say from when on a person is not let in, seconds since the epoch; None is never."""
        with self._roster.changing():
            person = self._store.set_until(name, until_wall)
        until = said(person.until_wall, self.config.schedule.zone)
        number = person.person_id
        self._journal.emit("pass_changed", f"its end: {until}", person=number, until=until)
        return person

    def unlock(self, for_s: float | None = None) -> None:
        """Release the strike by command: for one pulse, or for so many seconds.

        Raises:
            DaemonError: lockdown or tamper keep the door shut.
        """

        def unlock(door: Door) -> list[DoorEvent]:
            return door.command_unlock() if for_s is None else door.keep_unlocked(for_s)

        for event in self._keeper.command(unlock):
            if event.name == "grant_refused":
                raise DaemonError(
                    f"not unlocked: {WHY[event.cause]}; see `facegate status`, and end a lockdown "
                    "with `facegate door lockdown off`"
                )

    def lock(self) -> None:
        """Keep the door unlocked no longer, where a command said for how long."""
        self._keeper.command(lambda door: door.keep_unlocked_no_longer("command"))

    def enter_pin(self, pin: str) -> None:
        """Take what was typed at the door as the second factor of the face before it.

        Whether it was right is looked at only while the door waits, and one wrong PIN ends that:
        each try costs a face, and counts towards the lockout.

        Raises:
            DaemonError: the door waits for no PIN, or is shut to faces meanwhile.
            InputError: it is wrong.
            StoreError: no PIN was set.
        """
        if self._keeper.waiting and self.config.door.second_factor == "pin":
            correct = self._pin.matches(pin)
            for event in self._keeper.command(lambda door: door.pin(correct)):
                if event.name == "granted":
                    return
                if event.name == "second_factor_refused":
                    raise InputError("wrong PIN; show your face again")
                if event.name == "grant_refused":
                    raise DaemonError(f"not unlocked: {WHY[event.cause]}; see `facegate status`")
        raise DaemonError("the door waits for no PIN; show your face first")

    def set_pin(self, pin: str) -> None:
        """Take a new PIN for the door."""
        self._pin.set(pin)
        self._journal.emit("pin_set", "the door has a new PIN")

    def lockdown(self, on: bool) -> None:
        """Keep faces and unlock hours out, or end that; it outlives a restart.

        Raises:
            StoreError: that cannot be noted. It begins nevertheless, but a restart would end it;
                it does not end.
        """
        unnoted = None
        with self._locking_down:  # or of two commands at once one has the mark, one the door
            try:
                self._lockdown.set(on)
            except StoreError as error:
                if not on:
                    raise
                unnoted = error
            self._keeper.command(lambda door: door.lockdown(on))
        if unnoted is not None:
            raise StoreError(
                f"the door is in lockdown, but only until a restart: {unnoted}"
            ) from unnoted

    def people(self) -> list[Person]:
        """List who is enrolled."""
        return self._store.people()

    def likenesses(self) -> list[Likeness]:
        """Say of everybody who has templates how alike they are, and who else is near."""
        return likenesses(self._store.gallery(), self._roster.now.limits.threshold)
