import sys
import types

import pytest
import stub_picamera2


@pytest.fixture
def stub(monkeypatch):
    class Fresh(stub_picamera2.Picamera2):
        """Each test has its own list of what was made."""

    Fresh.made = []
    module = types.ModuleType("picamera2")
    module.Picamera2 = Fresh
    monkeypatch.setitem(sys.modules, "picamera2", module)
    return Fresh
