"""One thing that the control socket offers: method, path, who may ask, what goes in and out."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter

from facegate.control.peers import Peer, Rule
from facegate.control.schemas import Mistake, Request
from facegate.errors import FacegateError
from facegate.feed import Feed

Gate = TypeVar("Gate")
"""What routes reach."""


@dataclass(frozen=True)
class Call:
    """A request that was found right.

    Attributes:
        peer: who asks.
        named: the parts of the path, by name.
        query: an instance of the route's `asks`, or None.
        body: an instance of the route's `takes`, or None.
        send: sends a line at once, if the route streams; raises DaemonError when nobody listens.
        go_on: whether a route that streams until somebody ends it is to send more.
        feed: what happens.
    """

    peer: Peer
    named: Mapping[str, str]
    query: Any
    body: Any
    send: Callable[[object], None]
    go_on: Callable[[], bool]
    feed: Feed


@dataclass(frozen=True)
class Route(Generic[Gate]):
    """A method and path.

    Attributes:
        method: GET, POST, PUT, PATCH or DELETE.
        path: for example `/v1/people/{name}`.
        summary: one line, for the description.
        answer: does it with the gate and returns a `gives`; any FacegateError is the answer then.
        gives: the type of the answer; of each line, if it streams.
        takes: the model of the body; None for a route that takes none.
        asks: the model of the query (?…), each key of which may be left away; or None.
        rule: who may ask.
        streams: lines of JSON are sent while it goes on, and what `answer` returns is the last.
        changes: whether it changes anything; such requests are recorded with who asked.
        urgent: whether it is still answered when a user has asked for too many changes.
        pattern, adapter: made of `path` and `gives`.
    """

    method: str
    path: str
    summary: str
    answer: Callable[[Gate, Call], object]
    gives: Any
    takes: type[Request] | None = None
    asks: type[Request] | None = None
    rule: Rule = Rule.MEMBER
    streams: bool = False
    changes: bool = True
    urgent: bool = False
    pattern: re.Pattern[str] = field(init=False)
    adapter: TypeAdapter[Any] = field(init=False)

    def __post_init__(self) -> None:
        pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]*)", self.path))
        object.__setattr__(self, "pattern", pattern)
        object.__setattr__(self, "adapter", TypeAdapter(self.gives))

    def dump(self, answer: object) -> bytes:
        """Give an answer as JSON; NaN and infinity become null."""
        return self.adapter.dump_json(answer)


class Refusal(FacegateError):
    """A request that is not answered as it was meant.

    Args:
        status: of the answer.
        message: what is wrong and what to do.
        mistakes: what is wrong where in the body.
        headers: of the answer.
    """

    def __init__(
        self,
        status: HTTPStatus,
        message: str,
        mistakes: list[Mistake] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.mistakes, self.headers = status, mistakes or [], headers or {}

    @property
    def kind(self) -> str:
        """The class of error that the command line makes of it."""
        return "InputError" if self.status is HTTPStatus.BAD_REQUEST else "DaemonError"
