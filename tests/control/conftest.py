"""A gate behind a real socket."""

import pytest
from knocking import LOOSE, Gate

from facegate.control.client import ControlClient
from facegate.control.server import ControlServer


@pytest.fixture
def gate():
    return Gate()


@pytest.fixture
def reports():
    return []


@pytest.fixture
def serve(gate, reports, tmp_path):
    """Serve the gate within limits; gives the client."""
    servers = []

    def start(limits=LOOSE):
        path = tmp_path / "control.sock"

        def report(name, message, **fields):
            reports.append((name, message, fields))

        servers.append(ControlServer(path, gate, report, limits))
        return ControlClient(path)

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def client(serve):
    return serve()
