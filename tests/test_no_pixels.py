"""What facegate writes by itself holds no picture and no template anybody could read."""

import threading

import cv2
import numpy as np
import pytest

from facegate import parts
from facegate.config import parse_config
from facegate.daemon import Gate
from facegate.journal import Journal

PICTURE_BEGINNINGS = (
    *(b"\xff\xd8\xff\xe0", b"\xff\xd8\xff\xe1", b"\x89PNG", b"RIFF", b"WEBP", b"GIF8"),
    *(b"II*\0", b"MM\0*", b"ftyp"),
)


@pytest.fixture
def photo(tmp_path_factory, portraits):
    """A picture that lies elsewhere than what is searched."""
    path = tmp_path_factory.mktemp("photo") / "eileen.png"
    cv2.imwrite(str(path), portraits[0][:320, 80:400, ::-1])
    return path


def test_commands_and_gate_leave_no_pixels(facegate, photo, tmp_path, monkeypatch):
    for name in ("work", "tmp"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    for words in (
        ("enroll", "Eileen", "--image", photo),
        ("identify", photo),
        ("detect", photo),
        ("verify", photo, photo),
        ("people", "list"),
    ):
        assert facegate(*words).code == 0, words
    config = parse_config(
        {
            "camera": {"source": f"file:{photo}", "pacing": "fast"},
            "gpio": {"driver": "fake"},
            "door": {"pulse_s": 0.2},
            "access": {"votes_needed": 1},
        },
        "test",
    )
    vision = parts.load_vision(config)
    events = []
    with parts.open_store(config, vision.model_id) as store, parts.camera_from(config) as camera:
        templates = store.gallery().matrix.copy()
        gate = Gate(config, vision, store, camera, parts.lines_from(config), Journal(events.append))
        gate.run(threading.Event())
    assert "granted" in {e.name for e in events}

    written = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert any(p.name == "people.db" for p in written)
    pixels = cv2.imread(str(photo))
    rows = [pixels[120].tobytes()[:48], pixels[120, :, ::-1].tobytes()[:48]]
    secrets = [*PICTURE_BEGINNINGS, *rows, *(t.tobytes()[:16] for t in templates), b"Eileen"]
    for path in written:
        content = path.read_bytes()
        for secret in secrets:
            assert secret not in content, (path, secret)
    for event in events:
        assert not any(isinstance(v, np.ndarray | bytes) for v in event.fields.values())
