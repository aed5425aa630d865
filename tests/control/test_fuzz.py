"""Two thousand requests that nobody should send, to the real server, gate and store."""

import json
import threading

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from knocking import LOOSE, ask, send_raw, unit

from facegate import parts
from facegate.access.gallery import NORM_TOLERANCE
from facegate.access.names import clean_name
from facegate.config import parse_config
from facegate.control.client import ControlClient
from facegate.control.openapi import describe
from facegate.control.routes import ROUTES
from facegate.control.server import ControlServer
from facegate.daemon import Gate
from facegate.feed import Feed
from facegate.journal import Journal
from facegate.types import Frame

jsonschema = pytest.importorskip("jsonschema", reason="needs facegate[test]")

DESCRIPTION = describe(ROUTES)
STRUCTURED, RAW = 1500, 500
VECTORS = [unit(v).tolist() for v in np.random.default_rng(0).standard_normal((4, 128))]
ALWAYS = dict(
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],  # each request changes the gate: none can be tried again
    suppress_health_check=list(HealthCheck),
)


class StillCamera:
    """One grey picture, then nothing until the end."""

    description = "still"

    def frames(self, stopping):
        yield Frame(np.full((120, 160, 3), 128, np.uint8), 0.0, 0)
        stopping.wait()

    def close(self):
        """Nothing to close."""


class Fuzzed:
    def __init__(self, client, gate, store, events, model_id):
        self.client, self.gate, self.store, self.events = client, gate, store, events
        self.model_id = model_id
        self.asked = self.accepted = 0


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    config = parse_config(
        {
            "camera": {"source": "file:none"},
            "state": {"folder": str(folder / "state")},
            "gpio": {"driver": "fake"},
            "door": {"pulse_s": 0.01},
            "enrolment": {"timeout_s": 0.001, "captures": 1},
        },
        "test",
    )
    events, stopping = [], threading.Event()
    feed = Feed()
    journal = Journal(events.append, feed)
    vision = parts.load_vision(config)
    with parts.open_store(config, vision.model_id) as store, parts.lines_from(config) as lines:
        gate = Gate(config, vision, store, StillCamera(), lines, journal)
        running = threading.Thread(target=gate.run, args=(stopping,))
        running.start()
        path = folder / "control.sock"
        with ControlServer(path, gate.commands, journal.emit, LOOSE, feed):
            made = Fuzzed(ControlClient(path), gate, store, events, vision.model_id)
            made.client.add("Ann", [np.array(VECTORS[0], np.float32)], vision.model_id, True)
            yield made
            assert running.is_alive()
        stopping.set()
        running.join(20)
        assert not running.is_alive()


def schema_of(route):
    """Give the schema of a route's body as the description has it, with what it refers to."""
    content = DESCRIPTION["paths"][route.path][route.method.lower()]["requestBody"]["content"]
    schema = json.loads(json.dumps(content["application/json"]["schema"]))
    return {**schema, "components": DESCRIPTION["components"]}


SCHEMAS = {r: jsonschema.Draft202012Validator(schema_of(r)) for r in ROUTES if r.takes}

odd = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=300),
    st.sampled_from(["", "Ann", "ann", "A/B", "\x00", "..", "a" * 257, "é" * 64, "‮x", " "]),
    st.just([]),
    st.just({}),
)
vector = st.one_of(
    st.sampled_from(VECTORS),
    st.lists(st.floats(width=32), max_size=5),
    st.sampled_from([VECTORS[0][:-1], [*VECTORS[0], 0.0], [0.0] * 128, [1e308] * 128, "x"]),
    odd,
)
right = {
    "name": st.one_of(st.sampled_from(["Ann", "Ben", "Zoe Ö"]), st.text(min_size=1, max_size=70)),
    "vectors": st.lists(st.sampled_from(VECTORS), min_size=1, max_size=2),
    "allow_duplicate": st.booleans(),
    "role": st.sampled_from(["member", "admin", "duress", "king"]),
    "on": st.booleans(),
    "pin": st.sampled_from(["4829", "1", "١٢٣٤", "0" * 300]),
}


@st.composite
def bodies(draw, route, model_id):
    """Draw a body that is right, nearly right, or anything."""
    if draw(st.integers(0, 9)) == 0:
        return draw(odd)
    known = list(route.takes.model_fields) if route.takes else ["name"]
    values = {k: model_id if k == "model_id" else draw(right.get(k, odd)) for k in known}
    match draw(st.integers(0, 5)):
        case 0:
            values.pop(draw(st.sampled_from(sorted(values))), None) if values else None
        case 1:
            values[draw(st.text(max_size=20))] = draw(odd)
        case 2 if values:
            key = draw(st.sampled_from(sorted(values)))
            values[key] = draw(st.lists(vector, max_size=3)) if key == "vectors" else draw(odd)
    return values


def path_of(draw, route):
    name = draw(
        st.sampled_from(["Ann", "ann", "Ben", "%00", "%2F", "%C3%A9", "%ff", "", "x" * 900])
    )
    return route.path.replace("{name}", name)


@settings(max_examples=STRUCTURED, **ALWAYS)
@given(st.data())
def test_odd_requests_are_answered_and_only_right_ones_accepted(fuzzed, data):
    route = data.draw(st.sampled_from(ROUTES))
    body = (
        data.draw(bodies(route, fuzzed.model_id))
        if route.takes or data.draw(st.booleans())
        else None
    )
    sent = None if body is None and route.takes is None else json.dumps(body)
    reply = ask(fuzzed.client, route.method, path_of(data.draw, route), sent)
    operation = DESCRIPTION["paths"][route.path][route.method.lower()]
    assert reply.status != 500
    assert str(reply.status) in operation["responses"], reply
    assert "Traceback" not in reply.text
    answers = [json.loads(line) for line in reply.text.strip().split("\n")]
    fuzzed.asked += 1
    if reply.status != 200 or "error" in answers[-1]:
        return
    fuzzed.accepted += 1
    if route.takes:
        assert SCHEMAS[route].is_valid(body), (route.path, body)
        for given in body.get("vectors", []):
            assert abs(np.linalg.norm(given) - 1) <= NORM_TOLERANCE
    else:
        assert sent is None


VALID = [
    b"GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n",
    b"DELETE /v1/people/Zoe HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST /v1/door/lockdown HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 11\r\n"
    b'\r\n{"on":true}',
    b"PATCH /v1/people/Ann HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 14\r\n"
    b'\r\n{"name":"Ann"}',
]
TOKENS = [b"\r\n", b"\0", b"\xff", b"HTTP/9", b"Content-Length: ", b"-1", b"9" * 30, b"chunked"]
TOKENS += [b"Transfer-Encoding: chunked\r\n", b"Expect: 100-continue\r\n", b"%", b"{", b" ", b"?"]


@st.composite
def mangled(draw):
    """Draw a right request with bytes cut, doubled, changed or put in; or bytes of any kind."""
    request = bytearray(draw(st.sampled_from([*VALID, draw(st.binary(max_size=200))])))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(request)))
        match draw(st.integers(0, 4)):
            case 0:
                request[at:] = b""
            case 1:
                request[at:at] = draw(st.sampled_from(TOKENS))
            case 2:
                request[at : at + 1] = bytes([draw(st.integers(0, 255))])
            case 3:
                request[at : at + draw(st.integers(1, 20))] = b""
            case 4:
                request += request[at:]
    return bytes(request)


@settings(max_examples=RAW, **ALWAYS)
@given(mangled())
def test_bytes_of_any_kind_are_answered_or_hung_up_on(fuzzed, sent):
    before = fuzzed.store.revision
    got = send_raw(fuzzed.client, sent)
    fuzzed.asked += 1
    head, _, body = got.partition(b"\r\n\r\n")
    if got:
        status = int(head.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")[9:12])
        assert status != 500
        if not sent.startswith(b"HEAD ") and status != 100:
            assert isinstance(json.loads(body), dict | list)
    if fuzzed.store.revision != before:
        assert head.startswith(b"HTTP/1.1 200 ")


def test_after_all_that_everything_is_whole(fuzzed):
    assert fuzzed.asked >= STRUCTURED + RAW
    assert fuzzed.accepted > STRUCTURED // 20, "hardly anything right was among it"
    status = fuzzed.client.status()
    people = fuzzed.client.people()
    assert status["door"] in ("locked", "unlocked")
    gallery = fuzzed.store.gallery()
    assert np.allclose(np.linalg.norm(gallery.matrix, axis=1), 1, atol=1e-5)
    assert set(gallery.person_ids.tolist()) == {p.person_id for p in people}
    for person in people:
        assert clean_name(person.name) == person.name
        assert person.role in ("member", "admin", "duress")
    failed = [e.message for e in fuzzed.events if e.name in ("command_failed", "part_failed")]
    assert failed == []
