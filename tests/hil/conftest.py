"""What the tests on whole Debian systems share."""

import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest
from debian import PYTHONS, needs_root_and
from lives import life


@pytest.fixture(scope="session")
def lives(tmp_path_factory):
    """Each system's future `Life`; both live at the same time."""
    needs_root_and("systemd-nspawn", "mmdebstrap")
    import cv2

    walkup = pytest.importorskip("facegate.demo.walkup", reason="needs facegate[demo]")
    pytest.importorskip("skimage", reason="the portraits need facegate[demo]")
    folder = tmp_path_factory.mktemp("appliance")
    friend, _ = walkup.portraits()
    picture = cv2.imencode(".jpg", cv2.cvtColor(friend.pixels, cv2.COLOR_RGB2BGR))[1].tobytes()
    with ThreadPoolExecutor(len(PYTHONS)) as pool:
        lives = {suite: pool.submit(life, suite, folder, picture) for suite in PYTHONS}
    yield lives
    shutil.rmtree(folder, ignore_errors=True)
