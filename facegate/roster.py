"""Who is enrolled, held in memory and kept equal to the store."""

from __future__ import annotations

from facegate import parts
from facegate.access.matcher import Matcher
from facegate.access.names import same_name_key
from facegate.access.policy import PolicySettings
from facegate.access.store import Store
from facegate.config import Config
from facegate.vision.card import Calibration


class Roster:
    """Matcher, names, roles and the limits that follow from their number.

    Args:
        config: settings.
        calibration: of the embedder.
        store: enrolled people.

    Attributes:
        matcher: of all templates.
        names: person_id → name.
        admins: person_ids of administrators.
        duress: name keys of people whose coming means a threat.
        groups: person_id → group, of those in one.
        limits: of the policy, for so many people.
    """

    def __init__(self, config: Config, calibration: Calibration, store: Store) -> None:
        self._config, self._calibration, self._store = config, calibration, store
        self.matcher = Matcher(store.gallery())
        self._read()

    def reload_if_changed(self) -> bool:
        """Follow the store; returns whether there was something to follow."""
        if self._store.revision == self._revision:
            return False
        self.matcher.replace(self._store.gallery())
        self._read()
        return True

    def obey(self, config: Config) -> None:
        """Take on other settings; `limits` follow."""
        self._config = config
        self._read()

    def _read(self) -> None:
        # The revision first: what changes while reading is read again the next time.
        self._revision = self._store.revision
        people = self._store.people()
        self.names = {p.person_id: p.name for p in people}
        self.admins = frozenset(p.person_id for p in people if p.role == "admin")
        self.duress = frozenset(same_name_key(p.name) for p in people if p.role == "duress")
        self.groups = {p.person_id: p.group for p in people if p.group is not None}
        self.limits: PolicySettings = parts.policy_settings(
            self._config, self._calibration, len(people)
        )
