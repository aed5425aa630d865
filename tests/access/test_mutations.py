"""Hundreds of mutated stores and backups: each is refused in plain words, or holds what it held."""

import os
import random
import tempfile
from pathlib import Path

import pytest
from stores import KEY, MODEL, vectors

from facegate.access.backup import Backup, open_backup
from facegate.access.store import Store
from facegate.errors import StoreError

COUNT = 500
PAGE = 4096


@pytest.fixture(scope="module")
def folder():
    """In memory, where there is such a folder: hundreds of files are written and synced."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as made:
        yield Path(made)


@pytest.fixture(scope="module")
def original(folder):
    """A store with people, groups, notes, freed pages and roles, as bytes."""
    path = folder / "original.db"
    with Store.open(path, KEY, MODEL) as store:
        for number in range(12):
            store.add(f"Person {number}", vectors(3, number))
        store.set_role("Person 1", "admin")
        store.set_group("Person 2", "staff")
        store.set_note("Person 3", "has a dog")
        store.remove("Person 4")
    return path.read_bytes()


def content_of(store):
    gallery = store.gallery()
    return store.people(), gallery.person_ids.tolist(), gallery.matrix.tobytes(), store.revision


def mutated(content, chance):
    """Change a file as failing cards, broken copies and curious people do."""
    data = bytearray(content)
    at = chance.randrange(len(data))
    length = chance.choice([1, 2, 8, 64, 512, PAGE])
    kind = chance.randrange(9)
    if kind == 0:
        data[at] ^= 1 << chance.randrange(8)
    elif kind == 1:
        data[at : at + length] = chance.randbytes(len(data[at : at + length]))
    elif kind == 2:
        data[at : at + length] = bytes(len(data[at : at + length]))
    elif kind == 3:
        del data[at:]
    elif kind == 4:
        del data[at : at + length]
    elif kind == 5:
        data[at:at] = chance.randbytes(length)
    elif kind == 6:
        data += chance.randbytes(length)
    elif kind == 7:  # two pages, or parts as large, change places
        first, second = (chance.randrange(max(1, len(data) // PAGE)) * PAGE for _ in "ab")
        one, other = data[first : first + PAGE], data[second : second + PAGE]
        if len(one) == len(other):
            data[first : first + PAGE], data[second : second + PAGE] = other, one
    else:  # several bytes at once, near the beginning, where the structure is
        for _ in range(chance.randrange(1, 5)):
            data[chance.randrange(min(200, len(data)))] = chance.randrange(256)
    return bytes(data)


def test_mutated_stores(folder, original):
    with Store.from_image(original, KEY, "original") as store:
        held = content_of(store)
    chance, refused = random.Random(110), {}
    for number in range(COUNT):
        data = mutated(original, chance)
        path = folder / "people.db"
        for old in folder.glob("people.db*"):
            old.unlink()
        path.write_bytes(data)
        try:
            with Store.open(path, KEY, MODEL) as store:
                assert content_of(store) == held, f"mutation {number} was accepted"
        except StoreError as error:
            said = str(error).partition(": ")[2]
            assert said, number
            refused[said] = refused.get(said, 0) + 1
    assert sum(refused.values()) > COUNT // 2
    assert len(refused) > 3, "mutations reach several checks"


@pytest.mark.parametrize("secret", [KEY, "a long passphrase"])
def test_mutated_backups(original, secret, monkeypatch):
    if isinstance(secret, str):  # one derivation is enough to try them all
        from functools import cache

        from facegate.access import backup, keys

        monkeypatch.setattr(backup, "from_passphrase", cache(keys.from_passphrase))
    sealed = Backup({"people.db": original, "key": KEY}, {"people": 11}).sealed(secret)
    chance, refused = random.Random(7), 0
    salt = slice(10, 26)
    tried = 0
    while tried < COUNT:
        data = mutated(sealed, chance)
        if isinstance(secret, str) and data[salt] != sealed[salt]:
            continue  # would only derive another key, slowly
        tried += 1
        if data == sealed:
            continue
        with pytest.raises(StoreError, match=r"^b: \w+"):
            open_backup(data, secret, "b")
        refused += 1
    assert refused > COUNT - 50


@pytest.mark.parametrize("part", ["store", "backup"])
def test_a_mutated_file_is_one_line_on_the_terminal(facegate, original, tmp_path, part):
    chance = random.Random(8)
    (state,) = tmp_path.rglob("state_directory")
    (state / "key").write_bytes(KEY)
    (state / "key").chmod(0o600)
    file = tmp_path / "file"
    for _ in range(10):
        if part == "store":
            (state / "people.db").write_bytes(mutated(original, chance)[: len(original) // 2])
            done = facegate("people", "list")
        else:
            file.write_bytes(mutated(Backup({"people.db": original}).sealed(KEY), chance)[1:])
            done = facegate("restore", file)
        assert done.code == 5
        assert done.complaint.startswith("facegate: ")
