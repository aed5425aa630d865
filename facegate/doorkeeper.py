"""The act thread: decisions, inputs, hours and commands go to the door, its events to the journal.

It alone touches the door and the panel, so that the strike is held again on time whatever the other
threads do. It sleeps until a decision comes, a line changes, a command is given or a deadline is
reached.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import replace
from datetime import datetime
from queue import Empty, SimpleQueue
from typing import Protocol

from facegate.access.arming import Arming
from facegate.access.door import Door
from facegate.access.door_events import ALARMS, DoorEvent, DoorSettings, DoorState
from facegate.access.passes import barred
from facegate.access.schedule import Schedule
from facegate.errors import DaemonError, LineError
from facegate.events import EventName
from facegate.hardware.lines import Edge, InputLine, wait_for_edges
from facegate.hardware.panel import Panel, PanelState
from facegate.journal import Journal
from facegate.pipeline.bell import Bell
from facegate.pipeline.queue import Channel, ChannelClosed
from facegate.sentences import sentence
from facegate.types import Decision, Verdict
from facegate.unlock_hours import UnlockHours, clock_synchronised, wall_clock
from facegate.unused_grants import UnusedGrants

TICK_S = 0.5
"""Hours and the panel's advice are looked at so often when nothing else happens."""

ADVICE_LASTS_S = 1.0
COMMAND_TIMEOUT_S = 2.0

Command = Callable[[Door], list[DoorEvent]]
Facts = dict[str, str | int | float]


class Enrolling(Protocol):
    """What the enrolment button sets going."""

    @property
    def active(self) -> bool:
        """Whether somebody is being enrolled."""
        ...

    def press(self) -> None:
        """Begin an enrolment, or cancel the one that goes on; returns at once."""
        ...


class DoorKeeper:
    """Keeps one door.

    Args:
        door: its state machine, with the relay.
        inputs: "exit_button", "contact", "tamper", "factor_button", "enrol_button"; those wired.
        panel: lights and buzzer.
        schedule: hours.
        arming: whether the enrolment button may enrol.
        enroller: what the enrolment button sets going.
        journal: where events go.
        clock: monotonic seconds.
        wall_clock: the time of day, for hours.
        synchronised: whether the time of day can be believed since this machine started.
        locked_down: whether it begins in lockdown.

    Attributes:
        decisions: what the identify thread decided; the keeper's owner closes it.
        last_event: for the status, in the journal's words: everybody may read systemd's.
        stalled: whether a part of the gate shows no sign of life; the panel says so.
        beats: rounds of the act thread so far; it stands still when the thread does.
        unused: which faces are judged again, because their grant let nobody in.
    """

    def __init__(
        self,
        door: Door,
        inputs: Mapping[str, InputLine],
        panel: Panel,
        schedule: Schedule,
        arming: Arming,
        enroller: Enrolling,
        journal: Journal,
        clock: Callable[[], float],
        queue_length: int = 16,
        wall_clock: Callable[[], datetime] = wall_clock,
        synchronised: Callable[[], bool] = clock_synchronised,
        locked_down: bool = False,
    ) -> None:
        self._door, self._inputs, self._panel = door, inputs, panel
        self._schedule, self._arming, self._enroller = schedule, arming, enroller
        self._journal, self._clock, self._wall_clock = journal, clock, wall_clock
        self._locked_down = locked_down
        self._unlock_hours = UnlockHours(self._unsure, wall_clock, synchronised)
        self._bell = Bell()
        self._commands: SimpleQueue[tuple[Command, Future[list[DoorEvent]]]] = SimpleQueue()
        self._advice = (PanelState.IDLE, float("-inf"))
        self._admins: frozenset[int] = frozenset()
        self._asked: dict[str | None, Facts] = {}
        self._duress: frozenset[str] = frozenset()
        self._groups: Mapping[int, str] = {}
        self._passes: Mapping[int, float] = {}
        self._names: Mapping[int, str] = {}
        self._armed_by: int | None = None
        self.last_event = "none"
        self.stalled = False
        self.beats = 0
        self._flash: PanelState | None = None
        self.unused = UnusedGrants(clock)
        self.decisions: Channel[Decision] = Channel(
            queue_length, keep=lambda d: d.verdict is Verdict.GRANT, ring=self._bell.ring
        )

    @property
    def state(self) -> dict[str, object]:
        """What the status says of the door."""
        return {
            "door": self._door.state.value,
            "kept_unlocked_s": self._door.kept_unlocked_s,
            "second_factor_wanted": self._door.settings.second_factor if self.waiting else None,
            "lockdown": self._door.locked_down,
            "tamper": self._door.tampered,
            "lockout": self._door.locked_out,
            "panel": self._panel.state.value,
        }

    @property
    def waiting(self) -> bool:
        """Whether the door waits for a second factor."""
        return bool(self._door.waiting_for)

    # From other threads.

    def advise(self, state: PanelState) -> None:
        """Say on the panel what a visitor should do; forgotten when it is not said again."""
        self._advice = (state, self._clock() + ADVICE_LASTS_S)

    def flash(self, state: PanelState) -> None:
        """Say something on the panel once."""
        self._flash = state
        self._bell.ring()

    def follow(
        self,
        admins: frozenset[int],
        duress: frozenset[str],
        groups: Mapping[int, str],
        passes: Mapping[int, float],
        names: Mapping[int, str],
    ) -> None:
        """Take on who is enrolled.

        Args:
            admins: numbers of administrators.
            duress: name keys of people whose coming means a threat.
            groups: number → group.
            passes: number → when their pass ends.
            names: of everybody, by number; whoever is missing there is let in no more.
        """
        self._admins, self._groups, self._duress = admins, groups, duress
        self._passes, self._names = passes, names

        def take(door: Door) -> list[DoorEvent]:
            door.settings = replace(door.settings, duress=self._duress)
            return []

        self._commands.put((take, Future()))  # the act thread alone touches the door's rules
        self._bell.ring()

    def obey(self, settings: DoorSettings, schedule: Schedule) -> None:
        """Take on other rules and hours.

        Raises:
            DaemonError: the act thread did not get to it in time.
        """

        def take(door: Door) -> list[DoorEvent]:
            self._schedule = schedule
            door.obey(replace(settings, duress=self._duress))
            return []

        self.command(take)

    def command(self, command: Command) -> list[DoorEvent]:
        """Have the act thread do something to the door, and wait for what comes of it.

        Raises:
            DaemonError: the act thread did not get to it in time, and will not any more; or it
                began, and hangs.
            LineError: the relay cannot be driven.
        """
        done: Future[list[DoorEvent]] = Future()
        self._commands.put((command, done))
        self._bell.ring()
        for _ in range(2):
            try:
                return done.result(COMMAND_TIMEOUT_S)
            except TimeoutError:
                if done.cancel():  # else it is being carried out just now
                    break
        raise DaemonError("the door did not answer; see `journalctl -u facegate`")

    def lock(self) -> None:
        """Hold the strike, at the end."""
        self._report(self._door.lock("stopped"))

    # The act thread.

    def run(self, stopping: threading.Event) -> None:
        """Keep the door until told to stop, or until no more decisions come and it is locked."""
        if self._locked_down:
            self._report(self._door.lockdown(True, "restart"))
        for name, line in self._inputs.items():
            if name in ("contact", "tamper") and line.read():
                self._take_edge(name, Edge(self._clock(), True))
        while not stopping.is_set():
            edges = wait_for_edges(self._inputs, self._wait_s(), self._bell.fileno())
            self._bell.clear()
            self.beats += 1
            self._report(self._door.tick())
            self._drop_whom_it_keeps_out()
            for name, edge in edges:
                self._take_edge(name, edge)
            self._take_commands()
            more = self._take_decisions()
            if more:
                self._report(self._door.hours(self._unlock_hours.hold(self._schedule)))
            else:
                self._report(self._door.keep_unlocked_no_longer("stopped"))
            self._show()
            if not more and self._door.deadline_s is None:
                return

    def close(self) -> None:
        """Give the keeper's descriptor back."""
        self._bell.close()

    def _wait_s(self) -> float:
        ends = [e for e in (self._door.deadline_s, self._panel.deadline_s) if e is not None]
        return min([TICK_S, *(end - self._clock() for end in ends)])

    def _take_edge(self, name: str, edge: Edge) -> None:
        if name == "contact":
            self._report(self._door.contact(edge.active, edge.at_s))
        elif name == "tamper":
            self._report(self._door.tamper(edge.active))
        elif not edge.active:
            return  # buttons count when they go down
        elif name == "exit_button":
            self._report(self._door.exit_requested())
        elif name == "factor_button":
            self._report(self._door.button(edge.at_s))
        elif name == "enrol_button":
            self._enrol_pressed()

    def _enrol_pressed(self) -> None:
        if self._enroller.active or self._arming.press(bool(self._admins)):
            self._enroller.press()
        else:
            self._panel.show(PanelState.DENIED)
            self.say("enrol_button_ignored", "no administrator was recognised before it")

    def _take_commands(self) -> None:
        while True:
            try:
                command, done = self._commands.get_nowait()
            except Empty:
                return
            if not done.set_running_or_notify_cancel():
                continue
            try:
                events = command(self._door)
            except LineError as error:
                done.set_exception(error)
                raise
            try:
                self._report(events)  # before whoever asked can say that it was done
            finally:
                done.set_result(events)

    def _take_decisions(self) -> bool:
        """Act on what was decided; returns whether more may come."""
        try:
            while (decision := self.decisions.get(0)) is not None:
                self._act_on(decision)
        except ChannelClosed:
            return False
        return True

    def _act_on(self, decision: Decision) -> None:
        verdict, name = decision.verdict, decision.name
        facts: Facts = {
            "track": decision.track_id,
            "seq": decision.seq,
            "reason": decision.reason,
            "distance": decision.distance,
            "confidence": decision.confidence,
        }
        if decision.person_id is not None:
            facts["person"] = decision.person_id
        if verdict is Verdict.GRANT:
            number = decision.person_id
            if number is not None and number in self._admins and not self._kept_out(number):
                self._arm(name, number)
        elif verdict is Verdict.DENY:
            other, number = decision.runner_up_name, decision.runner_up
            if number is not None:
                facts["runner_up"] = number
            why = f"{name}: not let in, too near to {other or 'another person'}"
            self.say("denied", why, {name: decision.person_id, other: number}, **facts)
            self._panel.show(PanelState.DENIED)
        elif verdict is Verdict.UNKNOWN:
            self.say("unknown", "nobody enrolled looks like this", None, **facts)
            self._panel.show(PanelState.DENIED)
        elif verdict is Verdict.SPOOF:
            self.say("turn_missing", f"{name}: recognised, did not turn the head", name, **facts)
            self._panel.show(PanelState.DENIED)
        self._report(self._door.tick())  # what is due is about whoever came before
        events = self._door.apply(decision, self._barred(decision))
        facts["latency_ms"] = (self._clock() - decision.captured_at_s) * 1000
        if any(event.name == "second_factor_wanted" for event in events):
            asked = {**self._asked, name: facts}
            self._asked = {person: asked[person] for person in self._door.waiting_for}
        self._report(events, facts)

    def _unsure(self) -> None:
        self.say("hours_unsure", "the time was not confirmed since this machine started")

    def _barred(self, decision: Decision) -> str | None:
        if why := self._kept_out(decision.person_id):
            return why
        group = self._groups.get(decision.person_id or 0)
        name = decision.name
        if name is None:
            return None
        if self._schedule.by_clock(name, group) and not self._unlock_hours.sure(self._schedule):
            return "hours_unsure"
        return None if self._schedule.admits(name, self._wall_clock(), group) else "hours"

    def _drop_whom_it_keeps_out(self) -> None:
        """Wait for nobody, and let nobody's arming stand, who was kept out meanwhile."""
        by = self._armed_by
        if self._arming.armed and (by not in self._admins or self._kept_out(by)):
            self._arming.disarm()
        for name in self._door.waiting_for:
            why = self._kept_out(self._asked.get(name, {}).get("person"))
            if why is not None:
                self._report(self._door.turn_away(name, why))

    def _kept_out(self, number: object) -> str | None:
        if number not in self._names:
            return "forgotten"
        end_wall = self._passes.get(number) if isinstance(number, int) else None
        sure = self._unlock_hours.sure(self._schedule)
        return barred(end_wall, self._wall_clock(), sure)

    def _arm(self, name: str | None, number: int) -> None:
        armed = self._arming.armed and self._armed_by == number
        if self._inputs.get("enrol_button") is not None and not armed:
            self.say("enrol_armed", f"by {name}", name, person=number)
        self._armed_by = number
        self._arming.admin_recognised()

    # What it says.

    def _report(self, events: list[DoorEvent], facts: Facts | None = None) -> None:
        for event in events:
            # Without facts of its own, an event about a person is about the second factor.
            own = facts or self._asked.get(event.person, {})
            about = dict(own) if event.person is not None else {}
            if (event.name, event.cause) != ("granted", "grant"):
                about.pop("latency_ms", None)
                about["reason"] = event.cause
            if event.before is not event.after:
                about["door"] = event.after.value
            if event.for_s is not None:
                about["for_s"] = event.for_s
            self.say(event.name, sentence(event, self._door.settings), event.person, **about)
            track = about.get("track")
            self.unused.note(event, None if track is None else int(track))
            if event.name == "granted":
                self._panel.show(PanelState.GRANTED)
            elif event.name in ("grant_refused", "second_factor_refused"):
                self._panel.show(PanelState.DENIED)

    def say(
        self,
        name: EventName,
        message: str,
        called: str | Mapping[str | None, int | None] | None = None,
        **facts: str | int | float,
    ) -> None:
        """Write an event; `called` is the name that the message holds, or each with its number."""
        names = called if isinstance(called, Mapping) else [called]
        self.last_event = f"{name}: {self._journal.worded(message, names, facts)}"
        self._journal.emit(name, message, called=names, **facts)

    def _show(self) -> None:
        self._panel.show(self._panel_state())
        flash, self._flash = self._flash, None
        if flash is not None:
            self._panel.show(flash)
        try:
            self._panel.tick()
        except LineError as error:  # a broken lamp keeps nobody out
            self.say("panel_failed", str(error))

    def _panel_state(self) -> PanelState:
        if self._door.state in ALARMS or self._door.tampered:
            return PanelState.ALARM
        if self._door.state is DoorState.HELD_OPEN_WARNING:
            return PanelState.WARNING
        if self.stalled:
            return PanelState.ERROR
        if self._enroller.active:
            return PanelState.ENROLLING
        if self.waiting:
            return PanelState.FACTOR
        if self._arming.armed:
            return PanelState.ARMED
        state, until_s = self._advice
        return state if self._clock() < until_s else PanelState.IDLE
