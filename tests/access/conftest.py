import pytest
from stores import KEY, MODEL, vectors

from facegate.access.store import Store


@pytest.fixture
def path(tmp_path):
    return tmp_path / "store.sqlite"


@pytest.fixture
def store(path):
    with Store.open(path, KEY, MODEL, wall_clock=lambda: 1000.0) as opened:
        yield opened


@pytest.fixture
def filled(path):
    """A closed store with Ann (2 templates) and Bob (1)."""
    with Store.open(path, KEY, MODEL) as opened:
        opened.add("Ann", vectors(2, 1))
        opened.add("Bob", vectors(1, 2))
    return path
