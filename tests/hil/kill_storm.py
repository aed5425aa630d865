"""Enrols and removes people in children that are killed at random moments; says what was found.

Run as a program: FOLDER CYCLES SEED. It forks without threads, so that a life costs a millisecond.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import numpy as np

from facegate.access.audit import AuditTrail, verify
from facegate.access.store import Store

KEY, MODEL = bytes(range(32)), "model-a"
TEMPLATES = 3


def vectors(name):
    rng = np.random.default_rng(int(name[1:]))
    rows = rng.standard_normal((TEMPLATES, 128)).astype(np.float32)
    return list(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def live(folder, first, out):
    """Enrol one, remove the one before, for ever; each step is told before and after."""

    def tell(*words):
        os.write(out, (" ".join(map(str, words)) + "\n").encode())

    store = Store.open(folder / "people.db", KEY, MODEL)
    trail = AuditTrail.open(folder / "audit.jsonl", KEY)
    number = first
    while True:
        name = f"P{number}"
        tell("adding", name)
        person = store.add(name, vectors(name))
        tell("added", name)
        tell("recorded", trail.append("enrolled", {"person": person.person_id}).seq)
        for old in store.people():
            if old.name != name:
                tell("removing", old.name)
                store.remove(old.name)
                tell("removed", old.name)
                tell("recorded", trail.append("person_removed", {"person": old.person_id}).seq)
        number += 1


class World:
    """What must be true, from what the children told."""

    def __init__(self):
        self.there, self.maybe, self.recorded, self.next = set(), set(), 0, 1
        self.added = self.removed = 0

    def hear(self, lines):
        for line in lines:
            what, value = line.split()
            if what == "recorded":
                self.recorded = int(value)
            elif what == "adding":
                self.maybe.add(value)
                self.next = int(value[1:]) + 1
            elif what == "added":
                self.maybe.discard(value)
                self.there.add(value)
                self.added += 1
            elif what == "removing":
                self.there.discard(value)
                self.maybe.add(value)
            elif what == "removed":
                self.maybe.discard(value)
                self.removed += 1

    def compare(self, folder):
        """Open what the killed child left; returns what is wrong with it."""
        with Store.open(folder / "people.db", KEY, MODEL) as store:
            people, gallery = store.people(), store.gallery()
        names = {p.name for p in people}
        wrong = [f"lost {n}" for n in self.there - names]
        wrong += [f"came back {n}" for n in names - self.there - self.maybe]
        for person in people:
            rows = gallery.matrix[gallery.person_ids == person.person_id]
            if len(rows) != TEMPLATES or not np.allclose(rows, vectors(person.name), atol=1e-6):
                wrong.append(f"half a person: {person.name}")
        AuditTrail.open(folder / "audit.jsonl", KEY).close()
        finding = verify(folder / "audit.jsonl", KEY)
        if finding.problem is not None:
            wrong.append(f"the chain: {finding.problem}")
        if finding.records < self.recorded:
            wrong.append(f"{self.recorded} records acknowledged, {finding.records} there")
        self.there, self.maybe = names, set()
        return wrong


def live_a_while(folder, first, chance, most_lines, most_s, end):
    """Let a child live for a while, then `end(child)`; gives what it told, and how it ended."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read_end)
        live(folder, first, write_end)
    os.close(write_end)
    with os.fdopen(read_end) as told:
        wanted, lines = chance.randrange(most_lines), []
        for line in told:
            lines.append(line)
            if len(lines) > wanted:
                break
        time.sleep(chance.uniform(0, most_s))
        end(child)
        lines += told
    _, status = os.waitpid(child, 0)
    return [line for line in lines if line.endswith("\n")], status


def kill(child):
    os.kill(child, signal.SIGKILL)


def main(folder, cycles, seed):
    chance, world = random.Random(seed), World()
    kills, wrong = 0, []
    while world.removed < cycles and not wrong:
        lines, status = live_a_while(folder, world.next, chance, 120, 0.012, kill)
        if not os.WIFSIGNALED(status):
            wrong.append(f"the child ended by itself: {status}")
        kills += 1
        world.hear(lines)
        wrong += world.compare(folder)
    print(json.dumps({"kills": kills, "added": world.added, "removed": world.removed,
                      "recorded": world.recorded, "wrong": wrong}))  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
