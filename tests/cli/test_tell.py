"""`facegate tell` on journal files as journald writes them, read by the real journalctl."""

import errno
import json
import os

import pytest
from journal_files import entry, write_journal

from facegate.access.audit import BOOT_ID
from facegate.cli import tell
from facegate.cli.entries import entries, journalctl
from facegate.events import EVENTS

pytestmark = pytest.mark.host
LOST = entry(1, "/dev/video0: the cable is off", "camera_lost")
FORCED = entry(2, "opened while the strike was held", "door_forced_open", door="forced-open")
QUIET = (entry(0, "Ann: come in", "granted", person=1), entry(3, "locked", "door_locked"))


@pytest.fixture
def journal(tmp_path):
    return write_journal(tmp_path / "journal", QUIET[0], LOST, FORCED, QUIET[1])


@pytest.fixture
def program(tmp_path):
    """A program that keeps what it was told, and fails as often as `fail-EVENT` has lines."""
    path = tmp_path / "program"
    path.write_text(
        "#!/bin/sh\n"
        f"cd {tmp_path}\n"
        'echo "$FACEGATE_EVENT|$FACEGATE_MESSAGE" >> named\n'
        "fail=fail-$FACEGATE_EVENT\n"
        "if [ -s $fail ]; then sed -i 1d $fail; exit 3; fi\n"
        "cat >> told\n"
    )
    path.chmod(0o755)
    return path


@pytest.fixture
def told(tmp_path):
    def read():
        path = tmp_path / "told"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    return read


BOOT = BOOT_ID.read_text().strip().replace("-", "")


@pytest.fixture
def live(tmp_path, monkeypatch):
    """Put a journalctl in place that follows, and ends: events with their cursors."""

    def put(**events):
        rows = [
            {"__CURSOR": cursor, "PRIORITY": f"{EVENTS[event].priority}", "MESSAGE": event}
            | {"FACEGATE_EVENT": event, "_BOOT_ID": BOOT if BOOT in cursor else "0" * 32}
            for event, cursor in events.items()
        ]
        tool = tmp_path / "bin" / "journalctl"
        tool.parent.mkdir()
        lines = "".join(f"echo '{json.dumps(row)}'\n" for row in rows)
        this = f"case $* in *_BOOT_ID=*) grep {BOOT} || true ;; *) cat ;; esac"
        tool.write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/asked\n{{ {lines} }} | {this}\n')
        tool.chmod(0o755)
        monkeypatch.setenv("PATH", str(tool.parent), prepend=":")

    return put


@pytest.fixture(autouse=True)
def no_waits(monkeypatch):
    monkeypatch.setattr(tell, "SOON_S", (0.0, 0.0, 0.0))
    monkeypatch.setattr(tell, "LATER_S", 0.0)


def test_what_is_bad_is_told_and_nothing_else(facegate, journal, program, told, tmp_path):
    done = facegate("tell", program, "--directory", journal, "--no-follow")
    assert done.code == 0, done.err
    assert [t["event"] for t in told()] == ["camera_lost", "door_forced_open"]
    forced = told()[1]
    assert (forced["severity"], forced["facts"]) == (1, {"door": "forced-open"})
    assert forced["advice"] == EVENTS["door_forced_open"].advice
    named = (tmp_path / "named").read_text().splitlines()
    assert named[0] == "camera_lost|/dev/video0: the cable is off"


def test_what_is_asked_for_is_told(facegate, journal, program, told):
    words = ("--event", "granted")
    assert facegate("tell", program, "--directory", journal, *words).code == 0
    assert [t["message"] for t in told()] == ["Ann: come in"]


def test_it_goes_on_where_it_stopped(facegate, journal, program, told, tmp_path):
    place = tmp_path / "place"
    words = ("tell", program, "--directory", journal, "--place", place)
    for _ in range(2):
        assert facegate(*words).code == 0
        assert [t["event"] for t in told()] == ["camera_lost", "door_forced_open"]
    write_journal(journal, entry(10, "the disk is full", "audit_failed"))
    write_journal(journal, entry(11, "the case was opened", "tamper_began"))
    for _ in range(2):
        assert facegate(*words).code == 0
        assert [t["event"] for t in told()][2:] == ["audit_failed", "tamper_began"]


def test_nothing_is_left_out_after_a_place_that_is_anothers(facegate, program, told, tmp_path):
    """journalctl's own way to begin after an entry leaves out one more, if that is of another."""
    other = entry(0, "session opened").replace("facegate.service", "ssh.service")
    journal = write_journal(tmp_path / "two", other, LOST, FORCED)
    first, *_ = entries(journalctl(journal, units=()))
    assert first["MESSAGE"] == "session opened"
    (tmp_path / "place").write_text(first["__CURSOR"])
    facegate("tell", program, "--directory", journal, "--place", tmp_path / "place")
    assert [t["event"] for t in told()] == ["camera_lost", "door_forced_open"]


def test_a_program_that_fails_is_tried_again(facegate, journal, program, told, tmp_path):
    (tmp_path / "fail-camera_lost").write_text("once\ntwice\n")
    done = facegate("tell", program, "--directory", journal, "--event", "camera_lost")
    assert done.code == 0
    assert [t["event"] for t in told()] == ["camera_lost"]
    assert done.err.count("exit status 3") == 2
    assert "not told" not in done.err


def test_what_cannot_be_told_is_said_and_does_not_hold_up_the_rest(
    facegate, journal, program, told, tmp_path
):
    (tmp_path / "fail-camera_lost").write_text("again\n" * 4)
    done = facegate("tell", program, "--directory", journal)
    assert "not told, and given up: /dev/video0: the cable is off" in done.err
    assert [t["event"] for t in told()] == ["door_forced_open"]


def test_what_fails_holds_up_nothing_else_and_is_told_at_last(
    facegate, journal, program, told, tmp_path, monkeypatch
):
    (tmp_path / "fail-camera_lost").write_text("again\n" * 3)
    monkeypatch.setattr(tell, "SOON_S", (0.3, 0.0, 0.0))
    facegate("tell", program, "--directory", journal, "--place", tmp_path / "place")
    assert [t["event"] for t in told()] == ["door_forced_open", "camera_lost"]


def test_what_is_not_told_yet_is_told_after_a_start_anew(
    facegate, journal, program, told, tmp_path
):
    place = tmp_path / "place"
    teller = tell.Teller(program, tell.Filter.of(None, tell.Severity.err), place, True)
    (tmp_path / "fail-camera_lost").write_text("once\n")
    for came in entries(journalctl(journal)):
        teller._take(came)
        for untold in teller._untold:
            untold.next_s = float("inf") if untold.tries else 0.0
        teller._try_again()
        teller._note()
    assert [t["event"] for t in told()] == ["door_forced_open"]
    assert facegate("tell", program, "--directory", journal, "--place", place).code == 0
    assert [t["event"] for t in told()][1:] == ["camera_lost", "door_forced_open"]


def test_live_it_tries_for_hours_by_a_clock_that_never_jumps(
    facegate, program, told, tmp_path, live
):
    live(camera_lost=f"b={BOOT};i=2")
    (tmp_path / "fail-camera_lost").write_text("again\n" * 20)
    assert facegate("tell", program).code == 0
    assert [t["event"] for t in told()] == ["camera_lost"]


def test_a_quiet_gate_has_a_place_too(facegate, program, told, tmp_path, live):
    """Else what happened while nobody told it would be as old as what was before the first time."""
    live(ready=f"b={BOOT};i=5", granted=f"b={BOOT};i=6")
    facegate("tell", program, "--place", tmp_path / "place")
    assert (tmp_path / "place").read_text() == f"b={BOOT};i=5\n", (
        "and not at every entry: the card wears"
    )
    assert told() == []


def test_a_place_that_cannot_be_written_ends_nothing(
    facegate, journal, program, told, tmp_path, monkeypatch
):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tell, "write_whole", full)
    done = facegate("tell", program, "--directory", journal, "--place", tmp_path / "place")
    assert done.code == 0
    assert "place: cannot be written: No space left" in done.err
    assert len(told()) == 2


def test_a_place_that_cannot_be_is_refused(facegate, program, tmp_path):
    missing = facegate("tell", program, "--place", tmp_path / "none" / "place")
    assert (missing.code, "no such folder" in missing.complaint) == (3, True)
    folder = facegate("tell", program, "--place", tmp_path)
    assert (folder.code, "does not tell how far" in folder.complaint) == (3, True)


def test_a_program_that_hangs_is_ended(facegate, journal, tmp_path, monkeypatch):
    monkeypatch.setattr(tell, "TIMEOUT_S", 0.2)
    program = tmp_path / "slow"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    done = facegate("tell", program, "--directory", journal, "--event", "camera_lost")
    assert done.code == 0
    assert done.err.count("not done within 0.2 s") == 4


def test_a_program_that_is_no_program_is_told(facegate, journal, tmp_path):
    broken = tmp_path / "broken"
    broken.write_text("#!/nowhere\n")
    broken.chmod(0o755)
    done = facegate("tell", broken, "--directory", journal, "--event", "camera_lost")
    assert "cannot be run: no such file" in done.err


@pytest.mark.parametrize("made", [None, "", "folder"])
def test_a_program_that_cannot_be_run_is_refused(facegate, tmp_path, made):
    path = tmp_path / "program"
    if made == "folder":
        path.mkdir()
    elif made is not None:
        path.write_text(made)
    done = facegate("tell", path)
    assert done.code == 3
    assert "no program that can be run; chmod +x it" in done.complaint


def test_an_event_that_is_misspelt_is_refused(facegate, program):
    done = facegate("tell", program, "--event", "grantd")
    assert (done.code, "no event is called so" in done.complaint) == (3, True)


def test_live_it_misses_nothing_since_it_stopped(facegate, program, told, tmp_path, live):
    """journalctl would show the last ten of what came since this boot, and no more."""
    live(camera_lost=f"b={BOOT};i=2")
    place = tmp_path / "place"
    place.write_text(f"b={BOOT};i=1\n")
    assert facegate("tell", program, "--place", place).code == 0
    assert [t["message"] for t in told()] == ["camera_lost"]
    assert place.read_text() == f"b={BOOT};i=2\n"
    (asked,) = (tmp_path / "asked").read_text().splitlines()
    assert f"--cursor=b={BOOT};i=1 --follow --no-tail --merge" in asked


def test_what_a_clock_that_was_behind_wrote_since_the_start_is_told(
    facegate, program, told, tmp_path, live
):
    """After a power cut the journal may sort this boot's first alarms before the noted place."""
    live(camera_lost="b=0;i=4", door_forced_open=f"b={BOOT};i=1", backup_failed=f"b={BOOT};i=9")
    place = tmp_path / "place"
    place.write_text("b=0;i=3\n")
    assert facegate("tell", program, "--place", place).code == 0
    assert [t["event"] for t in told()] == ["camera_lost", "door_forced_open", "backup_failed"]
    _, before, since = (tmp_path / "asked").read_text().splitlines()
    assert ("--cursor=b=0;i=3" in before, "--follow" in before) == (True, False)
    assert ("--cursor" in since, "--follow --no-tail" in since) == (False, True)
    assert f"_BOOT_ID={BOOT}" in since


def test_where_the_journal_calls_this_boot_otherwise_it_goes_on_from_the_place(
    facegate, program, told, tmp_path, live
):
    """In a container the kernel's word may be the host's."""
    live(camera_lost="b=1;i=4")
    place = tmp_path / "place"
    place.write_text("b=1;i=3\n")
    assert facegate("tell", program, "--place", place).code == 0
    assert [t["event"] for t in told()] == ["camera_lost"]


def test_a_garbled_place_is_refused(facegate, program, tmp_path):
    (tmp_path / "place").write_text("nowhere\n")
    done = facegate("tell", program, "--place", tmp_path / "place")
    assert (done.code, "does not tell how far was told; remove it" in done.complaint) == (3, True)
