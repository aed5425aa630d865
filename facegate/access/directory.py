"""Who is enrolled, to be listed and changed: by the store, the daemon, or its client."""

from __future__ import annotations

from typing import Protocol

from facegate.access.likeness import Likeness
from facegate.access.person import Person


class Directory(Protocol):
    """What whoever keeps people offers; each change gives the person as they are then.

    Upper and lower case make no difference in names. Every change raises NotEnrolledError where
    nobody is called so; every method raises StoreError where the store cannot be used.
    """

    def people(self) -> list[Person]:
        """List everybody, by name."""
        ...

    def likenesses(self) -> list[Likeness]:
        """Say of everybody who has templates how alike they are, and who else is near."""
        ...

    def rename(self, old: str, new: str) -> Person:
        """Give a person another name.

        Raises:
            NameTakenError: somebody else has it.
            InputError: it is unusable.
        """
        ...

    def set_role(self, name: str, role: str) -> Person:
        """Give a person another role, one of `person.ROLES`.

        Raises:
            InputError: there is no such role.
        """
        ...

    def set_group(self, name: str, group: str | None) -> Person:
        """Put a person into a group of `schedule.groups`, or into none.

        Raises:
            InputError: the group's name is unusable.
        """
        ...

    def set_note(self, name: str, note: str) -> Person:
        """Write something down about a person.

        Raises:
            InputError: it is too long.
        """
        ...

    def set_until(self, name: str, until_wall: float | None) -> Person:
        """Say from when on a person is not let in, seconds since the epoch; None is never.

        Raises:
            InputError: it is no moment.
        """
        ...

    def remove(self, name: str) -> Person:
        """Take out a person and their templates; gives them as they were."""
        ...
