"""Who is enrolled, held in memory and kept equal to the store."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

from facegate import parts
from facegate.access.matcher import Matcher
from facegate.access.names import same_name_key
from facegate.access.policy import PolicySettings
from facegate.access.store import Person, Store
from facegate.config import Config
from facegate.errors import StoreError
from facegate.vision.card import Calibration

T = TypeVar("T")

AGAIN_S = 10.0
"""So long after the store could not be read it is left alone."""


@dataclass(frozen=True, eq=False)
class Members:
    """Everybody enrolled at one moment; whoever uses it keeps it for as long as it must agree.

    Attributes:
        revision: of the store that it was read from.
        matcher: of everybody.
        names: person_id → name.
        admins: person_ids of administrators.
        duress: name keys of people whose coming means a threat.
        groups: person_id → group, of those in one.
        passes: person_id → when their pass ends, seconds since the epoch; of those whose does.
        limits: of the policy, for so many people.
    """

    revision: int
    matcher: Matcher
    names: Mapping[int, str]
    admins: frozenset[int]
    duress: frozenset[str]
    groups: Mapping[int, str]
    passes: Mapping[int, float]
    limits: PolicySettings

    def without(self, person_id: int) -> Members:
        """Give everybody else; the store is read again, for its revision is another."""

        def others(of: Mapping[int, T]) -> Mapping[int, T]:
            return {number: value for number, value in of.items() if number != person_id}

        return replace(
            self,
            matcher=self.matcher.without(person_id),
            names=others(self.names),
            admins=self.admins - {person_id},
            duress=self.duress - {same_name_key(self.names.get(person_id, ""))},
            groups=others(self.groups),
            passes=others(self.passes),
        )


class Roster:
    """Follows the store.

    Reading ten thousand templates takes a good part of a second on a Pi. Whoever changes the store
    reads it again, so that the thread that recognises never waits for it.

    Args:
        config: settings.
        calibration: of the embedder.
        store: enrolled people.
        unread: told once why a change of the store is not in force.
        clock: monotonic seconds.

    Attributes:
        now: who is enrolled; replaced as a whole.
        told: called with who is enrolled, just before that is in force; for whoever wants to know.
    """

    def __init__(
        self,
        config: Config,
        calibration: Calibration,
        store: Store,
        unread: Callable[[str], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config, self._calibration, self._store = config, calibration, store
        self._unread, self._clock = unread, clock
        self._failed_at_s = float("-inf")
        self._busy = threading.Lock()
        self.told: Callable[[Members], None] = lambda _: None
        self.now = self._read()

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Change the store inside the block; what was changed is in force when it ends."""
        with self._busy:
            yield
            self._read_again()

    def remove(self, name: str) -> Person:
        """Take a person out of store and memory; out of memory even if the store fails then."""
        with self.changing():
            person = self._store.remove(name)
            self._put(self.now.without(person.person_id))
        return person

    def reload_if_changed(self) -> None:
        """Follow a store that somebody else changed; returns at once while `changing` goes on.

        Raises:
            StoreError: its revision cannot be read.
        """
        if self._busy.acquire(blocking=False):
            try:
                if self._clock() - self._failed_at_s < AGAIN_S:
                    return
                if self._store.revision != self.now.revision:
                    self._read_again()
            finally:
                self._busy.release()

    def _read_again(self) -> None:
        """Put what is in the store in force; if it cannot be read, who is in memory stays."""
        try:
            self._put(self._read())
            self._failed_at_s = float("-inf")
        except StoreError as error:
            if self._failed_at_s == float("-inf"):
                self._unread(str(error))
            self._failed_at_s = self._clock()

    def _put(self, members: Members) -> None:
        self.told(members)
        self.now = members

    def obey(self, config: Config) -> None:
        """Take on other settings; `limits` follow."""
        with self._busy:
            self._config = config
            self.now = replace(self.now, limits=self._limits(len(self.now.names)))

    def _read(self) -> Members:
        # The revision first: what changes while reading is read again the next time.
        revision = self._store.revision
        matcher = Matcher(self._store.gallery())
        people = self._store.people()
        return Members(
            revision,
            matcher,
            names={p.person_id: p.name for p in people},
            admins=frozenset(p.person_id for p in people if p.role == "admin"),
            duress=frozenset(same_name_key(p.name) for p in people if p.role == "duress"),
            groups={p.person_id: p.group for p in people if p.group is not None},
            passes={p.person_id: p.until_wall for p in people if p.until_wall is not None},
            limits=self._limits(len(people)),
        )

    def _limits(self, people: int) -> PolicySettings:
        return parts.policy_settings(self._config, self._calibration, people)
