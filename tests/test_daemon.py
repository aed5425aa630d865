"""The whole gate: shipped networks, a real store, frames from files, the shipped fake relay."""

import itertools
import sqlite3
import threading
import time
from contextlib import closing, contextmanager

import cv2
import numpy as np
import pytest

from facegate import parts, unused_grants
from facegate.access.continuity import CHECK_EVERY_S
from facegate.config import parse_config
from facegate.daemon import FRESH_S, Gate
from facegate.errors import CameraError, DaemonError, InputError, ModelError, StoreError
from facegate.hardware.camera_reopen import Reopening
from facegate.journal import Journal
from facegate.metrics import PARTS
from facegate.settings import EnrolmentConfig
from facegate.types import Frame, Verdict

walkup = pytest.importorskip("facegate.demo.walkup", reason="the portraits need facegate[demo]")
pytest.importorskip("skimage", reason="the portraits need facegate[demo]")
pytest.importorskip("matplotlib", reason="the portraits need facegate[demo]")

PULSE_S = 0.6


def settings(folder, source, door=None, enrolment=None, **camera):
    return parse_config(
        {
            "camera": {"source": source, "pacing": "fast", **camera},
            "state": {"folder": str(folder / "state")},
            "gpio": {"driver": "fake"},
            "door": {"pulse_s": PULSE_S, **(door or {})},
            "enrolment": {
                "captures": 3,
                "interval_s": 0.05,
                "timeout_s": 20.0,
                "countdown_s": 0.3,
                **(enrolment or {}),
            },
        },
        "test",
    )


@pytest.fixture(scope="module")
def vision(tmp_path_factory):
    return parts.load_vision(settings(tmp_path_factory.mktemp("vision"), "file:none"))


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """Folders of frames: each portrait before the camera, and an empty corridor."""
    friend, stranger = walkup.portraits()
    folders = {}
    for name, portrait in (("friend", friend), ("stranger", stranger), ("nobody", None)):
        folder = tmp_path_factory.mktemp(name)
        actors = () if portrait is None else (
            walkup.Actor(portrait, lambda t: 0.45 + 0.1 * t, lambda t: 120 + 40 * t),
        )  # fmt: skip
        for number, (_, pixels) in enumerate(walkup.film((walkup.Act(name, 1.0, actors),))):
            bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
            cv2.imwrite(str(folder / f"{number:03d}.jpg"), bgr)
        folders[name] = folder
    return folders


class Opened:
    """A gate with what a test wants to look at."""

    def __init__(self, gate, store, lines, events):
        self.gate, self.store, self.lines, self.events = gate, store, lines, events
        self.relay = lines.relay

    def named(self, name):
        return [e for e in self.events if e.name == name]

    @contextmanager
    def running(self):
        """Run the gate in the background; stop it at the end."""
        stopping = threading.Event()
        failed = []

        def run():
            try:
                self.gate.run(stopping)
            except DaemonError as error:
                failed.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield failed
        finally:
            stopping.set()
            thread.join(10)
            assert not thread.is_alive()


@pytest.fixture
def opened(tmp_path, vision):
    """Make a gate that looks through a file camera, or through `camera`."""
    closing = []

    def make(source=None, camera=None, observe=None, reopen=None, **options):
        config = settings(tmp_path, f"file:{source}", **options)
        eye = camera or parts.camera_from(config)
        store = parts.open_store(config, vision.model_id)
        closing.extend([eye, store])
        lines, events = parts.lines_from(config), []
        closing.append(lines)
        gate = Gate(
            config, vision, store, eye, lines, Journal(events.append), observe, reopen=reopen
        )
        return Opened(gate, store, lines, events)

    yield make
    for part in closing:
        part.close()


def enrol_friend(door, vision):
    friend, _ = walkup.portraits()
    face = vision.reader.look(friend.pixels, vision.reader.find(friend.pixels)[0])
    door.gate.commands.add(friend.name, [vision.reader.embed(face).vector], vision.model_id)


def until(condition, seconds=20.0):
    end_s = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end_s, "waited in vain"
        time.sleep(0.01)


def test_the_enrolled_person_is_let_in_for_one_pulse(opened, vision, films):
    door = opened(films["friend"])
    enrol_friend(door, vision)
    door.gate.run(threading.Event())
    assert [e.active for e in door.relay.edges] == [True, False]
    on, off = (e.at_s for e in door.relay.edges)
    assert off - on == pytest.approx(PULSE_S, abs=0.15)
    (granted,) = door.named("granted")
    assert granted.message.startswith("Eileen Collins")
    assert granted.fields["latency_ms"] > 0
    assert [e.name for e in door.events if e.name.startswith("door_")] == [
        "door_unlocked", "door_locked",
    ]  # fmt: skip


def test_a_face_whose_answer_stands_is_looked_at_once_a_second(opened, vision, films):
    seen = []
    door = opened(films["friend"], observe=seen.append)
    enrol_friend(door, vision)
    door.gate.run(threading.Event())
    (granted,) = [
        n for n, s in enumerate(seen) if any(d.verdict is Verdict.GRANT for d in s.decisions)
    ]
    assert all(q is not None for s in seen[: granted + 1] for _, q in s.faces)
    due_s = seen[granted].frame.captured_at_s + CHECK_EVERY_S
    later = [s for s in seen[granted + 1 :] if s.frame.captured_at_s < due_s]
    assert len(later) > 3
    assert [q for s in later for _, q in s.faces] == [None] * len(later)


def test_somebody_who_steps_into_a_granted_persons_place_begins_anew(opened, vision, tmp_path):
    """Two faces in one place, one after the other: the tracker alone sees one face that moves."""
    friend, stranger = walkup.portraits()
    each = 36
    for part, (portrait, size_px, up) in enumerate(
        ((friend, 140.0, 0), (stranger, 118.0, 35), (friend, 140.0, 0))
    ):
        actor = walkup.Actor(portrait, lambda _t: 0.5, lambda _t, size=size_px: size)
        frames = walkup.film((walkup.Act("", each / walkup.FPS, (actor,)),))
        for number, (_, pixels) in enumerate(frames, start=part * each):
            bgr = np.roll(pixels, -up, axis=0)[..., ::-1]
            cv2.imwrite(str(tmp_path / f"{number:03d}.jpg"), bgr)
    said = []
    door = opened(tmp_path, observe=lambda seen: said.extend(seen.decisions), pacing="real-time")
    enrol_friend(door, vision)
    door.gate.run(threading.Event())
    assert len(door.named("person_changed")) == 2
    granted = [e.fields["track"] for e in door.named("granted")]
    assert len(granted) == len(set(granted)) == 2
    names = {d.track_id: set() for d in said}
    for decision in said:
        names[decision.track_id].add(decision.name)
    assert all(len(seen) == 1 for seen in names.values()), names
    assert None in set().union(*names.values())


@pytest.mark.parametrize("who", ["stranger", "nobody"])
def test_nobody_else_is(opened, vision, films, who):
    door = opened(films[who])
    enrol_friend(door, vision)
    door.gate.run(threading.Event())
    assert door.relay.edges == []
    assert not door.named("granted")
    assert len(door.named("unknown")) == (1 if who == "stranger" else 0)


def test_with_nobody_enrolled_nobody_gets_in(opened, films):
    door = opened(films["friend"])
    door.gate.run(threading.Event())
    assert door.relay.edges == []
    assert door.named("unknown")


class EagerCamera:
    """Offers one picture again and again, faster than anybody can look at it."""

    description = "eager"

    def __init__(self, pixels, count):
        self._pixels, self._count = pixels, count

    def frames(self, stopping):
        for seq in range(self._count):
            yield Frame(self._pixels, time.monotonic(), seq)
            stopping.wait(0.001)

    def close(self):
        pass


def test_a_thousand_frames_never_fill_a_queue_past_its_bound(opened, films):
    pixels = cv2.imread(str(films["friend"] / "010.jpg"))[..., ::-1].copy()
    door = opened(camera=EagerCamera(pixels, 1000))
    door.gate.run(threading.Event())
    queues = door.gate.status()["queues"]
    for queue in queues.values():
        assert queue["most_waiting"] <= queue["capacity"]
        assert queue["put"] == queue["got"] + queue["dropped"] + queue["waiting"]
    assert queues["frames"]["put"] == 1000
    assert queues["frames"]["capacity"] == 1
    assert queues["frames"]["dropped"] > 0


def test_files_worked_off_fast_lose_no_frame(opened, films):
    door = opened(films["nobody"])
    door.gate.run(threading.Event())
    counts = door.gate.channels["frames"].counts
    assert counts.put == counts.got == len(list(films["nobody"].iterdir()))
    assert counts.dropped == 0
    assert door.gate.status()["detected_fps"] > 0
    door.gate._clock = lambda: time.monotonic() + FRESH_S
    assert door.gate.status()["detected_fps"] == 0


def test_a_person_is_enrolled_with_the_gates_own_camera(opened, vision, films):
    door = opened(films["friend"], loop=True)
    told = []
    with door.running():
        person = door.gate.commands.enrol("Eileen", False, lambda n, text: told.append((n, text)))
        until(lambda: door.named("granted"))
    assert person.templates == 3
    assert told
    assert door.named("store_reloaded")
    assert door.named("granted")[0].message.startswith("Eileen")


def test_enrolment_without_a_face_ends_in_time_and_enrols_nobody(opened, films):
    door = opened(films["nobody"], loop=True, enrolment={"timeout_s": 0.5})
    with door.running(), pytest.raises(InputError, match="nobody was enrolled"):
        door.gate.commands.enrol("Ghost", False, lambda *_: None)
    assert door.store.people() == []


def test_one_face_is_not_enrolled_under_two_names(opened, vision, films):
    door = opened(films["friend"], loop=True)
    enrol_friend(door, vision)
    with door.running(), pytest.raises(InputError, match="Eileen Collins"):
        door.gate.commands.enrol("Somebody Else", False, lambda *_: None)
    assert [p.name for p in door.store.people()] == ["Eileen Collins"]


def test_whoever_becomes_an_administrator_meanwhile_is_left_to_root(opened, vision, films):
    door = opened(films["friend"], loop=True)
    enrol_friend(door, vision)
    name = door.store.people()[0].name

    def promote(*_):
        door.gate.commands.set_role(name, "admin")

    with door.running():
        with pytest.raises(InputError, match="only root may enrol an administrator"):
            door.gate.commands.enrol(name, False, promote, more=True, admins=False)
        assert door.store.people()[0].templates == 1
        assert door.gate.commands.enrol(name, False, promote, more=True).templates > 1


def test_embeddings_of_another_model_are_refused(opened, films):
    door = opened(films["nobody"])
    with pytest.raises(ModelError, match="the daemon runs"):
        door.gate.commands.add("Ann", [np.zeros(128, np.float32)], "another-model")


class LastingView:
    """Shows some pictures, and then nothing more until it is closed."""

    description = "lasting"

    def __init__(self, pictures):
        self._pictures, self._closed = pictures, threading.Event()

    def frames(self, stopping):
        for seq, pixels in enumerate(self._pictures):
            yield Frame(pixels, time.monotonic(), seq)
            stopping.wait(0.05)
        while not stopping.wait(0.05) and not self._closed.is_set():
            pass

    def close(self):
        self._closed.set()


class BrokenCamera:
    """Delivers what it is given, then fails."""

    description = "broken"

    def __init__(self, frames=()):
        self._frames = frames

    def frames(self, stopping):
        yield from self._frames
        raise CameraError("/dev/video0: the cable is off")

    def close(self):
        pass


def test_a_lost_camera_ends_the_daemon_with_the_door_locked(opened, vision):
    door = opened(camera=BrokenCamera())
    with pytest.raises(DaemonError, match="cable is off"):
        door.gate.run(threading.Event())
    assert not door.relay.active


def test_a_camera_that_comes_back_lets_people_in_again(opened, vision, films):
    """Meanwhile the door and its exit button go on, and the panel shows that something is amiss."""
    there = threading.Event()

    def reopen():
        if not there.is_set():
            raise CameraError("/dev/video0: no such camera")
        return parts.camera_from(settings(films["friend"], f"file:{films['friend']}"))

    door = opened(camera=BrokenCamera(), reopen=reopen, reopen_attempts=100, reopen_wait_s=0.01)
    door.gate._camera._reopening = Reopening(10_000, 0.01)
    door.gate._camera._wait = lambda stopping, seconds: stopping.wait(min(seconds, 0.02))
    enrol_friend(door, vision)
    with door.running() as failed:
        until(lambda: door.named("camera_lost"))
        assert "cable is off" in door.named("camera_lost")[0].message
        assert "/dev/video0" in door.gate.status()["camera_lost"]  # or why it is not back yet
        door.lines.inputs["exit_button"].press()
        until(lambda: len(door.relay.edges) == 2)
        until(lambda: door.gate.status()["panel"] == "error")
        there.set()
        until(lambda: door.named("camera_back"))
        until(lambda: door.named("granted"))
        assert door.gate.status()["camera_lost"] is None
    assert not failed


def test_a_camera_that_stays_away_ends_the_daemon(opened, vision):
    def reopen():
        raise CameraError("/dev/video0: no such camera")

    door = opened(camera=BrokenCamera(), reopen=reopen, reopen_attempts=3, reopen_wait_s=0.01)
    with pytest.raises(DaemonError, match="no such camera; given up after 3 attempts"):
        door.gate.run(threading.Event())
    assert len(door.named("camera_lost")) == 1
    assert not door.relay.active


@pytest.mark.parametrize("name", ["detector", "refiner", "embedder"])
def test_a_network_that_answers_otherwise_ends_the_daemon(opened, films, name):
    """Memory that went bad must not decide who comes in."""
    door = opened(films["nobody"], loop=True)
    canary = door.gate._canaries[name]
    ask = canary._ask
    with door.running() as failed:
        until(lambda: canary._first is not None)
        canary._ask = lambda picture: -ask(picture)
        canary.ask_soon()
        until(lambda: failed)
    assert f"{name} answers a known picture otherwise" in str(failed[0])


@pytest.mark.parametrize("loop", [True, False])
def test_the_relay_is_released_in_time_though_the_others_hang(opened, vision, films, loop):
    hanging = threading.Event()

    def observe(seen):
        if door.relay.active:
            hanging.wait(20)

    door = opened(films["friend"], observe=observe, loop=loop)
    enrol_friend(door, vision)
    with door.running():
        until(lambda: len(door.relay.edges) == 2)
        on, off = (e.at_s for e in door.relay.edges)
        hanging.set()
    assert off - on == pytest.approx(PULSE_S, abs=0.15)


def test_a_broken_relay_ends_the_daemon(opened, vision, films):
    door = opened(films["friend"])
    enrol_friend(door, vision)
    door.relay.failure = "no such device"
    with pytest.raises(DaemonError, match="no such device"):
        door.gate.run(threading.Event())
    assert not door.relay.active


def test_by_the_button_from_the_press_to_the_first_grant(opened, films):
    """The first person needs no administrator, becomes one, and is let in."""
    door = opened(films["friend"], loop=True)
    with door.running():
        until(lambda: door.named("ready"))
        door.lines.inputs["enrol_button"].press()
        until(lambda: door.named("enrolled"))
        until(lambda: any(e.active for e in door.lines.lamps["green"].edges))
        until(lambda: door.named("granted"))
        until(lambda: door.relay.edges)  # prolonged again and again: the film is shown fast
    assert not door.relay.active
    (person,) = door.store.people()
    assert (person.name, person.role) == ("person-0001", "admin")
    assert person.templates == 3


@pytest.mark.parametrize(("arm_s", "what"), [(0.2, "enrol_button_ignored"), (600.0, "enrol_began")])
def test_an_administrator_arms_the_button_for_as_long_as_is_set(opened, vision, films, arm_s, what):
    shown = [cv2.imread(str(path))[..., ::-1].copy() for path in sorted(films["friend"].iterdir())]
    door = opened(camera=LastingView(shown), enrolment={"arm_s": arm_s})
    enrol_friend(door, vision)
    door.gate.commands.set_role(door.store.people()[0].name, "admin")
    with door.running():
        until(lambda: door.named("enrol_armed"))
        time.sleep(0.4)
        door.lines.inputs["enrol_button"].press()
        until(lambda: door.named("enrol_button_ignored") or door.named("enrol_began"))
        assert door.named(what)


def test_a_second_press_cancels_and_nobody_is_half_enrolled(opened, films):
    door = opened(films["nobody"], loop=True)
    with door.running():
        until(lambda: door.named("ready"))
        button = door.lines.inputs["enrol_button"]
        button.press()
        until(lambda: door.named("enrol_began"))
        button.press()
        until(lambda: door.named("enrolment_refused"))
    assert "cancelled" in door.named("enrolment_refused")[0].message
    assert door.store.people() == []


def test_the_exit_button_opens_though_the_rest_hangs(opened, vision, films):
    hanging = threading.Event()
    door = opened(films["friend"], observe=lambda _: hanging.wait(20), loop=True)
    with door.running():
        until(lambda: door.named("ready"))
        time.sleep(0.5)
        door.lines.inputs["exit_button"].press()
        until(lambda: len(door.relay.edges) == 2)
        hanging.set()
    on, off = (e.at_s for e in door.relay.edges)
    assert off - on == pytest.approx(PULSE_S, abs=0.02)


def test_a_command_unlocks_but_not_in_lockdown(opened, films):
    door = opened(films["nobody"], loop=True)
    with door.running():
        until(lambda: door.named("ready"))
        door.gate.commands.lockdown(True)
        with pytest.raises(DaemonError, match="not unlocked: the door is in lockdown"):
            door.gate.commands.unlock()
        with pytest.raises(DaemonError, match="not unlocked: the door is in lockdown"):
            door.gate.commands.unlock(3600.0)
        assert not door.relay.edges
        door.gate.commands.lockdown(False)
        door.gate.commands.unlock()
        until(lambda: len(door.relay.edges) == 2)
        door.gate.commands.unlock(3600.0)
        assert 3590 < door.gate.commands.status()["kept_unlocked_s"] <= 3600
        door.gate.commands.lock()
        assert len(door.relay.edges) == 4


def test_a_lockdown_outlives_a_restart(opened, films):
    door = opened(films["nobody"], loop=True)
    with door.running():
        until(lambda: door.named("ready"))
        door.gate.commands.lockdown(True)
    again = opened(films["nobody"], loop=True)
    with again.running():
        until(lambda: again.named("lockdown_began"))
        with pytest.raises(DaemonError, match="in lockdown"):
            again.gate.commands.unlock()
        again.gate.commands.lockdown(False)
    last = opened(films["nobody"], loop=True)
    with last.running():
        until(lambda: last.named("ready"))
        last.gate.commands.unlock()
        assert not last.named("lockdown_began")


class Standing:
    """A camera before which somebody stands still."""

    description = "file of somebody who stays"

    def __init__(self, path):
        self.pixels = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)

    def frames(self, stopping):
        for seq in itertools.count():
            if stopping.wait(0.05):
                return
            yield Frame(self.pixels, time.monotonic(), seq)

    def close(self):
        pass


class Visits:
    """A camera before which the friend comes and goes once for every cue."""

    description = "file on cue"

    def __init__(self, films):
        paths = [p for name in ("friend", "nobody") for p in sorted(films[name].iterdir())]
        self.pictures = [cv2.cvtColor(cv2.imread(str(p)), cv2.COLOR_BGR2RGB) for p in paths]
        self.cue = threading.Semaphore(0)

    def frames(self, stopping):
        seq = 0
        while not stopping.is_set():
            if not self.cue.acquire(timeout=0.05):
                continue
            for pixels in self.pictures:
                yield Frame(pixels, time.monotonic(), seq)
                seq += 1

    def close(self):
        pass


def test_a_face_opens_only_with_the_pin_after_it(opened, vision, films):
    camera = Visits(films)
    rules = {"second_factor": "pin", "second_factor_s": 60.0, "lockout_attempts": 2}
    door = opened(camera=camera, door=rules)
    enrol_friend(door, vision)

    def visit():
        before = len(door.named("second_factor_wanted"))
        camera.cue.release()
        until(lambda: len(door.named("second_factor_wanted")) > before)

    with door.running():
        visit()
        with pytest.raises(StoreError, match="no PIN yet"):
            door.gate.commands.enter_pin("4829")
        door.gate.commands.set_pin("4829")
        with pytest.raises(InputError, match="wrong PIN"):
            door.gate.commands.enter_pin("4828")
        with pytest.raises(DaemonError, match="waits for no PIN"):
            door.gate.commands.enter_pin("4829")
        assert not door.relay.edges
        visit()
        door.gate.commands.enter_pin("4829")
        until(lambda: len(door.relay.edges) == 2)
        for _ in range(2):
            visit()
            with pytest.raises(InputError, match="wrong PIN"):
                door.gate.commands.enter_pin("0000")
        until(lambda: door.named("lockout_began"))
        assert len(door.relay.edges) == 2
    assert "4829" not in " ".join(e.message for e in door.events)
    granted = door.named("granted")[0].fields
    assert (granted["reason"], granted["person"]) == ("pin", 1)
    assert "latency_ms" not in granted, "a person typed meanwhile"
    assert door.named("second_factor_refused")[0].fields["person"] == 1


def test_who_typed_a_wrong_pin_need_not_step_aside_to_be_asked_again(opened, vision, films):
    rules = {"second_factor": "pin", "second_factor_s": 60.0, "lockout_attempts": 9}
    camera = Standing(sorted(films["friend"].iterdir())[-1])
    door = opened(camera=camera, door=rules)
    enrol_friend(door, vision)
    door.gate.commands.set_pin("4829")
    with door.running():
        until(lambda: door.named("second_factor_wanted"))
        with pytest.raises(InputError, match="wrong PIN"):
            door.gate.commands.enter_pin("0000")
        until(lambda: len(door.named("second_factor_wanted")) == 2)
        door.gate.commands.enter_pin("4829")
        until(lambda: door.relay.edges)


def test_whoever_does_not_open_the_door_is_let_in_a_few_times_and_no_more(
    opened, vision, films, monkeypatch
):
    monkeypatch.setitem(unused_grants.AGAIN_S, "door_locked", 0.1)
    door = opened(camera=Standing(sorted(films["friend"].iterdir())[-1]))
    enrol_friend(door, vision)
    with door.running():
        until(lambda: len(door.relay.edges) == 6)
        time.sleep(PULSE_S + 1.5)
    tracks = [e.fields["track"] for e in door.named("granted")]
    assert tracks == [tracks[0]] * (1 + unused_grants.MOST_LINGERING)
    assert len(door.relay.edges) == 2 * len(tracks)


def test_whoever_is_removed_gets_in_no_more_though_another_record_is_damaged(
    opened, vision, films, tmp_path
):
    door = opened(films["friend"], loop=True)
    enrol_friend(door, vision)
    other = np.full(128, 128**-0.5, np.float32)
    door.gate.commands.add("Cid", [other], vision.model_id)
    with closing(sqlite3.connect(next(tmp_path.rglob("people.db")))) as rows, rows:
        (sound,) = rows.execute("SELECT vector FROM templates ORDER BY id DESC").fetchone()
        change = "UPDATE templates SET vector = ? WHERE vector = ?"
        rows.execute(change, (bytes([sound[0] ^ 1]) + sound[1:], sound))
    with door.running():
        until(lambda: door.named("granted"))
        door.gate.commands.remove(walkup.portraits()[0].name)
        assert door.named("store_unread")
        until(lambda: door.named("store_reloaded"))
        granted = len(door.named("granted"))
        until(lambda: door.named("unknown"))
        assert len(door.named("granted")) == granted
    assert door.gate.status()["people"] == 1


def test_who_is_enrolled_reaches_the_door_though_no_frame_comes(opened, vision, films):
    door, told = opened(films["nobody"]), []
    door.gate._keeper.follow = lambda *who: told.append(who)
    people = np.eye(128, dtype=np.float32)
    for name, vector in zip(("Ann", "Ben", "Cid"), people, strict=False):
        door.gate.commands.add(name, [vector], vision.model_id)
    door.gate.commands.set_role("Ann", "admin")
    door.gate.commands.set_role("Ben", "duress")
    door.gate.commands.set_group("Cid", "staff")
    door.gate.commands.set_until("Ben", 1.8e9)
    names = {1: "Ann", 2: "Ben", 3: "Cid"}
    assert told[-1] == ({1}, {"ben"}, {3: "staff"}, {2: 1.8e9}, names)
    door.gate.commands.remove("Ben")
    assert told[-1] == ({1}, frozenset(), {3: "staff"}, {}, {1: "Ann", 3: "Cid"})


def test_whose_pass_is_ended_is_kept_out_from_then_on(opened, vision, films):
    door = opened(films["friend"], loop=True)
    enrol_friend(door, vision)
    name = walkup.portraits()[0].name
    with door.running():
        until(lambda: door.named("granted"))
        door.gate.commands.set_until(name, 0.0)
        until(lambda: door.named("grant_refused"))
        granted = len(door.named("granted"))
        until(lambda: len(door.named("grant_refused")) == 2)
        assert len(door.named("granted")) == granted
        door.gate.commands.set_until(name, None)
        until(lambda: len(door.named("granted")) > granted)
    assert {e.fields["reason"] for e in door.named("grant_refused")} == {"blocked"}
    assert [e.fields["until"] for e in door.named("pass_changed")][-1] == "never"


def test_changed_settings_are_taken_on_while_it_runs(opened, vision, films):
    door = opened(films["nobody"], loop=True)
    with door.running():
        until(lambda: door.named("ready"))
        door.gate.commands.unlock()
        until(lambda: len(door.relay.edges) == 2)
        changed = door.gate._config.model_copy(
            update={
                "door": door.gate._config.door.model_copy(update={"pulse_s": 30.0}),
                "enrolment": EnrolmentConfig(captures=9),
            }
        )
        door.gate.obey(changed)
        told = door.named("settings_reloaded")[0].message
        assert told == "access, door and hours are in force; a restart is needed for enrolment"
        door.gate.commands.unlock()
        until(lambda: len(door.relay.edges) == 3)
        assert "for 30 s" in door.named("door_unlocked")[1].message
        assert len(door.relay.edges) == 3


def test_the_metrics_know_every_part_that_can_stand_still(opened, films):
    heartbeat = opened(films["nobody"]).gate._heartbeat()
    assert (*heartbeat._health._gauges, "store") == PARTS
