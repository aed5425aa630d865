"""What a `with` block closes at its end."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self


class Closing(Protocol):
    """Something that a `with` block closes; a class that inherits this has only `close` to write.

    As a protocol it is met by everything that has these methods.
    """

    def close(self) -> None:
        """Let go what is held; may be called again."""
        ...

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
