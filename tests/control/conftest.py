"""A gate behind a real socket."""

import pytest
from knocking import LOOSE, Gate

from facegate.control.client import ControlClient
from facegate.control.server import ControlServer
from facegate.feed import Feed


@pytest.fixture
def gate():
    return Gate()


@pytest.fixture
def reports():
    return []


@pytest.fixture
def feed():
    return Feed()


@pytest.fixture
def servers():
    """What `serve` began, in order."""
    return []


@pytest.fixture
def serve(gate, reports, feed, servers, tmp_path):
    """Serve the gate within limits; gives the client."""

    def start(limits=LOOSE):
        path = tmp_path / "control.sock"

        def report(name, message, **fields):
            reports.append((name, message, fields))

        servers.append(ControlServer(path, gate, report, limits, feed))
        return ControlClient(path)

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def client(serve):
    return serve()
