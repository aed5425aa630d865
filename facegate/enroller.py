"""Enrolment through the gate's own camera, by the button or by command, and from embeddings."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from facegate import parts
from facegate.access.enrolment import EnrolmentSession, check_looks, name_to_enrol
from facegate.access.person import names_an_admin
from facegate.access.store import Person, Store
from facegate.config import Config
from facegate.errors import DaemonError, FacegateError, InputError
from facegate.journal import Journal
from facegate.roster import Roster
from facegate.types import F32, Frame, Track

LOOK_EVERY_S = 0.05

Progress = Callable[[int, str], None]


class Enroller:
    """Collects looks at one person, checks them, and stores all of them or none.

    Args:
        config: settings.
        vision: networks.
        store: takes the person.
        roster: who is enrolled already.
        journal: where events go.
        clock: monotonic seconds.
        watching: whether the camera still delivers.
        ended: called after each enrolment through the camera, with whether it went well.
    """

    def __init__(
        self,
        config: Config,
        vision: parts.Vision,
        store: Store,
        roster: Roster,
        journal: Journal,
        clock: Callable[[], float],
        watching: Callable[[], bool],
        ended: Callable[[bool], None],
    ) -> None:
        self._config, self._vision, self._store, self._roster = config, vision, store, roster
        self._journal, self._clock = journal, clock
        self._watching, self._ended = watching, ended
        self._session: EnrolmentSession | None = None
        self._busy = threading.Lock()
        self._cancelled = threading.Event()

    @property
    def active(self) -> bool:
        """Whether somebody is being enrolled."""
        return self._busy.locked()

    # From the identify thread.

    def collect(self, frame: Frame, tracks: tuple[Track, ...]) -> None:
        """Take what a frame shows."""
        session = self._session
        if session is None or not session.wants(frame.captured_at_s):
            return
        seen = self._vision.reader.sole_embedding(frame.pixels, [t.detection for t in tracks])
        session.offer(seen, frame.captured_at_s)

    # From other threads.

    def press(self) -> None:
        """Take a press of the enrolment button that may enrol: begin, or cancel what goes on."""
        if self.active:
            self._cancelled.set()
            return
        threading.Thread(target=self._by_button, name="facegate-enrol", daemon=True).start()

    def _by_button(self) -> None:
        role = "member" if self._roster.now.admins else "admin"
        countdown_s = self._config.enrolment.countdown_s
        try:
            name = self._store.next_name()
        except FacegateError as error:
            self._journal.emit("enrolment_refused", str(error))
            self._ended(False)
            return
        with suppress(FacegateError):  # said in the journal
            self._enrol(name, False, lambda *_: None, countdown_s, role, more=False, admins=True)

    def enrol(
        self,
        name: str,
        allow_duplicate: bool,
        progress: Progress,
        countdown_s: float = 0.0,
        more: bool = False,
        admins: bool = True,
    ) -> Person:
        """Enrol the person in front of the camera; blocks until done.

        Args:
            name: who it is.
            allow_duplicate: skip the check whether the face is enrolled under another name.
            progress: called with the looks collected so far and what to do next.
            countdown_s: seconds until the first look is taken.
            more: add to the templates of somebody enrolled.
            admins: whether the name may be that of an administrator.

        Raises:
            InputError: the name is taken or unusable, the face is enrolled already, the enrolment
                was cancelled, or time is up; it is an administrator.
            DaemonError: another enrolment is going on, or the camera has stopped.
        """
        name = name_to_enrol(self._store, name, more)
        return self._enrol(name, allow_duplicate, progress, countdown_s, "member", more, admins)

    def _enrol(
        self,
        name: str,
        allow_duplicate: bool,
        progress: Progress,
        countdown_s: float,
        role: str,
        more: bool,
        admins: bool,
    ) -> Person:
        if not self._busy.acquire(blocking=False):
            raise DaemonError("another enrolment is going on; wait for it to end")
        well = False
        try:
            self._journal.emit("enrol_began", name, called=[name])
            self._cancelled.clear()
            vectors = self._looks(name, progress, countdown_s)
            person = self.add(name, vectors, allow_duplicate, role, more, admins)
            well = True
            return person
        except FacegateError as error:
            everybody = [name, *self._roster.now.names.values()]
            self._journal.emit("enrolment_refused", str(error), called=everybody)
            raise
        finally:
            self._session = None
            self._busy.release()
            self._ended(well)

    def _looks(self, name: str, progress: Progress, countdown_s: float) -> list[F32]:
        starts_s = self._clock() + countdown_s
        session = EnrolmentSession(
            name,
            parts.enrolment_settings(self._config),
            self._vision.calibration.midpoint,
            starts_s,
        )
        said = ""
        while not session.done:
            now_s = self._clock()
            if now_s >= starts_s:
                self._session = session
                saying = session.guidance
            else:
                saying = f"look at the camera: {starts_s - now_s:.0f}"
            if saying != said:
                said = saying
                progress(session.captured, said)
            if session.expired(now_s):
                raise session.too_few
            if not self._watching():
                raise DaemonError("the camera has stopped; nobody was enrolled")
            if self._cancelled.wait(LOOK_EVERY_S):
                raise InputError(f"{name}: cancelled; nobody was enrolled")
        return session.vectors()

    def add(
        self,
        name: str,
        vectors: list[F32],
        allow_duplicate: bool = False,
        role: str = "member",
        more: bool = False,
        admins: bool = True,
    ) -> Person:
        """Enrol a person, or add to one's templates, from embeddings of the running model.

        Raises:
            InputError: they show different people, somebody enrolled already, or the name is taken
                or that of an administrator, and `admins` is not set.
        """
        with self._roster.changing():  # nothing else changes between the checks and the change
            if not admins:
                self._spare_admins(name)
            self._check(name, vectors, allow_duplicate, more)
            change = self._store.extend if more else partial(self._store.add, role=role)
            person = change(name, vectors)
        self._journal.emit(
            "enrolled",
            f"{person.name}, {person.templates} templates",
            called=[person.name],
            person=person.person_id,
            looks=len(vectors),
            templates=person.templates,
        )
        return person

    def _spare_admins(self, name: str) -> None:
        """Refuse a name of somebody who became an administrator while their looks were taken."""
        if names_an_admin(name, self._store.people()):
            raise InputError(f"{name}: only root may enrol an administrator; use sudo")

    def _check(self, name: str, vectors: list[F32], allow_duplicate: bool, more: bool) -> None:
        now = self._roster.now
        check_looks(
            name,
            vectors,
            now.matcher,
            now.names,
            now.limits.threshold,
            self._vision.calibration.midpoint,
            self._store.person(name) if more else None,
            allow_duplicate,
        )
