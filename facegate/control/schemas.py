"""What requests carry and what comes back: one model each, and the API's description is made of it.

Nothing is converted silently, and a key that is not known is a mistake.
"""

from __future__ import annotations

import math
from datetime import datetime
from typing import Annotated, Literal

import numpy as np
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    GetJsonSchemaHandler,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from facegate.access.door_events import DoorState
from facegate.access.gallery import NORM_TOLERANCE
from facegate.access.names import MAX_NAME_CHARS
from facegate.access.person import NOTE_LENGTH, ROLES, Person
from facegate.events import EVENTS, EventName
from facegate.feed import Entry
from facegate.types import F32, MAX_KEPT_UNLOCKED_S

MAX_VECTORS = 50
MAX_FLOATS = 4096
"""Numbers in an embedding on the wire; how many it must be is the model's to say."""
OWNERS_FACTS = frozenset({"distance", "confidence"})
"""Some hundred of them give a template away."""
MAX_TEXT = 256
"""Characters on the wire of what is no name."""


def _unit(vector: list[float]) -> list[float]:
    length = math.hypot(*vector)
    if not abs(length - 1) <= NORM_TOLERANCE:
        raise ValueError(f"an embedding has length 1, not {length:.4g}")
    return vector


Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARS, examples=["Ann"])]
ModelId = Annotated[str, Field(min_length=1, max_length=MAX_TEXT)]
Vector = Annotated[
    list[FiniteFloat],
    Field(min_length=2, max_length=MAX_FLOATS, description="of length 1"),
    AfterValidator(_unit),
]
Vectors = Annotated[list[Vector], Field(min_length=1, max_length=MAX_VECTORS)]


class Request(BaseModel):
    """Base of all request bodies."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    @classmethod
    def may_be_empty(cls) -> bool:
        """Whether an empty object will do; the body may then also be left away."""
        return not any(field.is_required() for field in cls.model_fields.values())


class Nothing(Request):
    """An empty object."""


class Templates(Request):
    """Embeddings, and the model that made them."""

    vectors: Vectors
    model_id: ModelId

    def arrays(self) -> list[F32]:
        """Give the embeddings as float32 (D,) each."""
        return [np.array(v, np.float32) for v in self.vectors]


class NewPerson(Templates):
    """Somebody to enrol from embeddings made elsewhere."""

    name: Name
    allow_duplicate: bool = False
    more: bool = False


class NewEnrolment(Request):
    """Somebody to enrol with the gate's camera."""

    name: Name
    allow_duplicate: bool = False
    more: bool = False


class NewName(Request):
    """Another name for a person."""

    name: Name


class NewRole(Request):
    """Another role for a person."""

    role: Literal["member", "admin", "duress"]


class NewGroup(Request):
    """Another group for a person, or none."""

    group: Annotated[str, Field(min_length=1, max_length=MAX_TEXT)] | None


class NewEnd(Request):
    """From when on a person is not let in, seconds since the epoch; 0 is now, null is never."""

    until_wall: FiniteFloat | None


class NewNote(Request):
    """What is written down about a person."""

    note: Annotated[str, Field(max_length=2 * NOTE_LENGTH)]


class Unlocking(Request):
    """How long the door stands unlocked, seconds, 12 hours at most; null is one pulse."""

    for_s: Annotated[FiniteFloat, Field(gt=0, le=MAX_KEPT_UNLOCKED_S)] | None = None


class Lockdown(Request):
    """Whether faces and unlock hours are kept out."""

    on: bool


class Pin(Request):
    """The door's PIN, as typed."""

    pin: Annotated[str, Field(min_length=1, max_length=MAX_TEXT, examples=["482915"])]


class Done(BaseModel):
    """It was done."""


class Progress(BaseModel):
    """A line while an enrolment goes on: looks so far, and what to do next."""

    captured: int
    guidance: str


class _WithRoles:
    """Has the description of a person say which roles there are."""

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        described = handler(schema)
        handler.resolve_ref_schema(described)["properties"]["role"]["enum"] = list(ROLES)
        return described


Somebody = Annotated[Person, _WithRoles()]
"""A person as an answer holds them."""


class Enrolled(BaseModel):
    """The last line of an enrolment that went well."""

    person: Somebody


class After(Request):
    """From where on events are wanted."""

    after: Annotated[
        int | None,
        Field(
            ge=0,
            description="seq of the last one known, 0 for all that are kept; left away: only what "
            "comes from now on",
        ),
    ] = None
    start: Annotated[
        str | None,
        Field(max_length=MAX_TEXT, description="of that line; after another all kept is sent"),
    ] = None


class Happened(BaseModel):
    """Something that happened, as the journal says it; people by number unless journal.names.

    How alike a face was to whom is told to root and the daemon's own user alone.
    """

    seq: Annotated[
        int,
        Field(
            description="rises by one and begins at 1 with each start of the daemon: after a "
            "smaller one than the last begin anew; a gap is what was not kept any longer"
        ),
    ]
    at: AwareDatetime
    event: EventName
    severity: Annotated[
        int, Field(ge=0, le=7, description="of syslog: 7 is debug, 6 info, … 0 an emergency")
    ]
    message: str
    facts: dict[str, str | bool | int | float | None]

    @classmethod
    def of(cls, entry: Entry, *, all_facts: bool) -> Happened:
        """Make one of an entry of the feed."""
        event = entry.event
        told = {k: v for k, v in event.fields.items() if all_facts or k not in OWNERS_FACTS}
        return cls(
            seq=entry.seq,
            at=datetime.fromtimestamp(event.wall_s).astimezone(),
            event=event.name,
            severity=EVENTS[event.name].priority,
            message=event.message,
            facts={k: v.item() if hasattr(v, "item") else v for k, v in told.items()},
        )


class Quiet(BaseModel):
    """A line that says only that the daemon is there: the first, and one every 15 s at least."""

    seq: None = None
    start: Annotated[str, Field(description="names this start of the daemon; give it with after")]


class Mistake(BaseModel):
    """Something wrong in a request's body."""

    path: Annotated[str, Field(examples=["vectors.0"])]
    message: str


class Failure(BaseModel):
    """Why it was not done. In a stream it is the last line."""

    error: str
    kind: Annotated[str, Field(description="class of the error", examples=["InputError"])]
    mistakes: list[Mistake] = []


Shown = Literal[
    "idle",
    "looking",
    "come closer",
    "too dark",
    "turn to me",
    "turn the head",
    "granted",
    "denied",
    "second factor",
    "armed",
    "enrolling",
    "enrolled",
    "door open",
    "alarm",
    "error",
]


class Queue(BaseModel):
    """A queue between two stages; what did not fit was dropped and counted."""

    model_config = ConfigDict(extra="allow")

    put: int
    dropped: int
    most_waiting: int
    capacity: int


class DoorNow(BaseModel):
    """What the door is doing."""

    door: DoorState
    kept_unlocked_s: Annotated[
        float | None, Field(description="seconds for which a command still keeps it unlocked")
    ]
    lockdown: bool


class Status(DoorNow):
    """How the gate is doing; later versions may say more."""

    model_config = ConfigDict(extra="allow")

    second_factor_wanted: Annotated[
        Literal["button", "pin"] | None, Field(description="what the door waits for now")
    ]
    tamper: bool
    lockout: bool
    people: int
    threshold: Annotated[float, Field(description="greatest distance that is a match")]
    model_id: str
    enrolling: bool
    panel: Annotated[Shown, Field(description="what the panel shows")]
    camera: str
    camera_lost: Annotated[
        str | None, Field(description="why there is no picture, while the camera is opened again")
    ]
    stalled: Annotated[list[str], Field(description="parts that show no sign of life")]
    false_accepts_per_1000: Annotated[
        float, Field(description="strangers who would pass one look, of 1,000")
    ]
    false_accepts_measured: Annotated[
        bool, Field(description="whether the calibration reaches so low; else it is extrapolated")
    ]
    uptime_s: float
    detected_fps: float
    last_event: str
    queues: dict[str, Queue]
