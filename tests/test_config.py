import errno
import os
from pathlib import Path

import pytest
import yaml

from facegate import config, parts
from facegate.config import Config, differences, fingerprint, load_config, parse_config
from facegate.errors import ConfigError, HardwareError
from facegate.vision.card import read_card
from facegate.vision.tflite import model_folder

SHIPPED = Path(__file__).parent.parent / "config.yaml"


def test_the_shipped_file_equals_the_defaults():
    written = yaml.safe_load(SHIPPED.read_text())
    assert written == Config().model_dump()


def test_the_shipped_file_loads():
    assert load_config(SHIPPED) == Config()


def test_whole_numbers_are_fine_where_fractions_are_expected():
    assert parse_config({"camera": {"fps": 10}}, "x").camera.fps == 10.0


def test_all_mistakes_are_told_at_once_with_path_value_and_suggestion():
    with pytest.raises(ConfigError) as caught:
        parse_config(
            {
                "camera": {"fps": -1, "widht_px": 640},
                "acess": {},
                "door": {"relay": {"active_low": "yes"}},
            },
            "my.yaml",
        )
    text = str(caught.value)
    assert "my.yaml: 4 mistake(s)" in text
    assert "camera.fps: -1: input should be greater than or equal to 1" in text
    assert "camera.widht_px: unknown setting; did you mean 'width_px'?" in text
    assert "acess: unknown setting; did you mean 'access'?" in text
    assert "door.relay.active_low: 'yes'" in text


def test_a_disk_that_fails_is_no_mistake_in_the_settings(tmp_path, monkeypatch):
    def failing(*_, **__):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Path, "read_text", failing)
    with pytest.raises(HardwareError, match="the disk fails"):
        load_config(tmp_path / "c.yaml")


def test_contradictions_are_mistakes():
    with pytest.raises(ConfigError, match="can never be reached"):
        parse_config({"access": {"votes_needed": 6, "votes_of": 5}}, "x")


@pytest.mark.parametrize(
    ("content", "told"),
    [("camera: [", "not valid YAML"), ("- a\n- b\n", "found list"), ("a: b: c", "line 1")],
)
def test_a_broken_file_is_one_clear_line(tmp_path, content, told):
    path = tmp_path / "c.yaml"
    path.write_text(content)
    with pytest.raises(ConfigError, match=told):
        load_config(path)


@pytest.mark.parametrize(
    "value", ["2026-02-30", "2026-01-01 25:00:00", "0b_", "!!int x", "!!timestamp x", "!!bool x"]
)
def test_a_value_that_cannot_exist_is_told_with_its_line(tmp_path, value):
    path = tmp_path / "c.yaml"
    path.write_text(f"schedule:\n  holidays: [{value}]\n")
    with pytest.raises(ConfigError, match=r"line 2: not valid YAML: .* cannot be read"):
        load_config(path)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"camera": {"source": "vl42:/dev/video0"}}, "camera.source: 'vl42:/dev/video0': use pic"),
        ({"camera": {"source": ""}}, "camera.source: '': use picamera2"),
        ({"camera": {"source": "picamera2:x"}}, "camera.source: 'picamera2:x': use picamera2"),
        ({"door": {"contact": {"line": -5}}}, "door.contact.line: -5: must be a line's name"),
        ({"door": {"relay": {"line": ""}}}, "door.relay.line: '': must be a line's name"),
    ],
)
def test_a_camera_or_line_that_cannot_be(content, told):
    with pytest.raises(ConfigError) as caught:
        parse_config(content, "x")
    assert told in str(caught.value)


@pytest.mark.parametrize(
    "source",
    [
        *("picamera2", "picamera2:1", "v4l2", "v4l2:/dev/video2", "file:a.mp4", "film.mp4"),
        *("~/a.png", "/dev/v4l/by-path/platform-fd500000.pcie-pci-0000:01:00.0-usb-0:1.3:1.0"),
    ],
)
def test_a_camera_that_can_be(source):
    assert parse_config({"camera": {"source": source}}, "x").camera.source == source


def test_networks_are_looked_for_beside_the_settings(tmp_path, monkeypatch):
    folder = tmp_path / "etc"
    folder.mkdir()
    path = folder / "c.yaml"
    path.write_text("models: {embedder: own.tflite, detector: /abs/d.tflite}\n")
    monkeypatch.chdir(folder)
    for given in (path, path.relative_to(folder)):
        models = load_config(given).models
        assert models.embedder == str(folder / "own.tflite")
        assert models.detector == "/abs/d.tflite"
        assert models.refiner is None


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("file:film", "file:{etc}/film"),
        ("file:/abs/film.mp4", "file:/abs/film.mp4"),
        ("file:~/film.mp4", "file:{home}/film.mp4"),
        ("v4l2:/dev/video2", "v4l2:/dev/video2"),
        ("picamera2:1", "picamera2:1"),
    ],
)
def test_a_film_is_looked_for_beside_the_settings(tmp_path, monkeypatch, source, found):
    folder = tmp_path / "etc"
    folder.mkdir()
    (folder / "c.yaml").write_text(f"camera: {{source: '{source}'}}\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for given in (folder / "c.yaml", Path("etc/c.yaml")):
        assert load_config(given).camera.source == found.format(etc=folder, home=tmp_path)


def test_a_network_that_ships_is_named_without_folder_and_ending(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("models: {embedder: inception_resnet_lite}\n")
    settings = load_config(path)
    assert parts.embedder_path(settings) == model_folder() / "inception_resnet_lite.tflite"
    assert parts.detector_path(settings) == model_folder() / "yunet_like.tflite"
    path.write_text("models: {embedder: ./inception_resnet_lite}\n")
    assert parts.embedder_path(load_config(path)) == tmp_path / "inception_resnet_lite"


def test_an_installed_gates_store_is_the_one_whoever_asks(tmp_path, monkeypatch):
    """Never another one in the home of somebody who may not open it, where nobody is enrolled."""
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home"))
    state, runtime = tmp_path / "lib", tmp_path / "run"
    monkeypatch.setattr(config, "SYSTEM_STATE", state)
    monkeypatch.setattr(config, "SYSTEM_RUNTIME", runtime)
    assert Config().state_folder == tmp_path / "home" / "facegate"
    assert Config().socket_path == tmp_path / "home" / "facegate" / "control.sock"
    state.mkdir(mode=0o700)
    entered = [False]
    monkeypatch.setattr(os, "access", lambda *_: entered[0])
    assert Config().state_folder == state
    assert Config().socket_path == runtime / "control.sock"  # where it is while the gate runs
    own = Config.model_validate({"state": {"folder": str(tmp_path / "own")}})
    assert own.socket_path == tmp_path / "own" / "control.sock"
    runtime.mkdir()
    assert own.socket_path == tmp_path / "own" / "control.sock"
    entered[0] = True  # an installed gate whose state lies elsewhere
    assert own.socket_path == runtime / "control.sock"


@pytest.fixture
def own_state(tmp_path, monkeypatch):
    """Where neither systemd nor an installed gate says where state lies."""
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setattr(config, "SYSTEM_STATE", tmp_path / "lib")
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.mark.parametrize(
    ("named", "folder"),
    [
        ("", ".local/state/facegate"),
        ("state", ".local/state/facegate"),
        ("./state", ".local/state/facegate"),
        ("~/own", "own/facegate"),
    ],
)
def test_the_users_own_store_is_one_whatever_the_working_directory(
    own_state, tmp_path, monkeypatch, named, folder
):
    monkeypatch.setenv("XDG_STATE_HOME", named)
    assert Config().state_folder == tmp_path / folder


def test_whoever_has_no_home_directory_is_told_what_to_set(own_state, monkeypatch, facegate):
    def homeless(_):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", homeless)
    monkeypatch.delenv("STATE_DIRECTORY")
    done = facegate("people", "list")
    assert done.code == ConfigError.exit_code
    assert "no home directory; set state.folder, XDG_STATE_HOME or HOME" in done.complaint


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"camera": {"width_px": 1640, "height_px": 1232}}, "has other proportions than 1640×1232"),
        ({"camera": {"small_height_px": 240}}, "use 320×180"),
        ({"enrolment": {"captures": 20, "interval_s": 2.0}}, "take 38 s; 30 s are never enough"),
        ({"quality": {"min_sharpness": float("inf")}}, "finite number"),
        ({"access": {"target_fmr": float("nan")}}, "finite number"),
        ({"door": {"pulse_s": 3600.0}}, "door.pulse_s"),
        ({"access": {"target_fmr": 0.0}}, "access.target_fmr"),
        ({"state": {"folder": "./here"}}, "state.folder: './here': must begin with / or ~"),
        ({"quality": {"min_brightness": 90.0, "max_brightness": 90.0}}, "must be below"),
    ],
)
def test_settings_with_which_nothing_works_are_mistakes(content, told):
    with pytest.raises(ConfigError) as caught:
        parse_config(content, "x")
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (
            "schedule: {groups: [{name: a, window: []}]}",
            "schedule.groups.0.window: unknown setting; did you mean 'windows'?",
        ),
        (
            "schedule: {unlock: [{day: [mon]}]}",
            "schedule.unlock.0.day: unknown setting; did you mean 'days'?",
        ),
        (
            "schedule: {groups: [{windows: [{form: 1}]}]}",
            "schedule.groups.0.windows.0.form: unknown setting; known here: days",
        ),
        (
            "schedule: {unlock: [{days: [mon], start: '08:00'}]}",
            "schedule.unlock.0.end: is missing",
        ),
        ("schedule: {holidays: ['2026-12-25']}", "without quotes, as 2026-12-25"),
        ("acess:", "acess: unknown setting; did you mean 'access'?"),
        ("state: {folder: own}", "state.folder: 'own': must begin with / or ~"),
        ("door: {relay: {lin: 1}}", "door.relay.lin: unknown setting; did you mean 'line'?"),
        ("door: {exit_button: {line: 17}}", "door.exit_button.line: 17 is already door.relay.line"),
        ("panel: {red: {line: '17'}}", "panel.red.line: 17 is already door.relay.line"),
    ],
)
def test_mistakes_deep_inside_are_told_like_others(tmp_path, content, told):
    path = tmp_path / "c.yaml"
    path.write_text(content)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert told in str(caught.value)


def test_what_people_write_is_read(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("access: {target_fmr: 1e-3}\ndoor:\n  # pulse_s: 3.0\n")
    read = load_config(path)
    assert read.access.target_fmr == 0.001
    assert read.door == Config().door


@pytest.mark.parametrize(
    "camera",
    [
        {"width_px": 1640, "height_px": 1232, "small_width_px": 320, "small_height_px": 240},
        {"source": "v4l2", "width_px": 640, "height_px": 480},  # has no small picture of its own
        {"width_px": 1296, "height_px": 972, "small_width_px": 322, "small_height_px": 240},
    ],
)
def test_pictures_of_the_same_view(camera):
    parse_config({"camera": camera}, "x")


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(ConfigError, match="No such file"):
        load_config(tmp_path / "none.yaml")


def test_an_empty_file_means_all_defaults(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("")
    assert load_config(path) == Config()


def test_systemd_says_where_state_lies(monkeypatch):
    monkeypatch.setenv("STATE_DIRECTORY", "/s")
    monkeypatch.setenv("RUNTIME_DIRECTORY", "/r")
    assert Config().store_path == Path("/s/people.db")
    assert Config().socket_path == Path("/r/control.sock")


@pytest.mark.parametrize("start", [480, "8:00", "24:00", "noon"])
def test_a_time_of_day_is_asked_for_in_quotes(start):
    window = {"days": ["mon"], "start": start, "end": "18:00"}
    with pytest.raises(ConfigError, match=r'start: .* in quotes, as "08:00"'):
        parse_config({"schedule": {"unlock": [window]}}, "x")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"schedule": {"time_zone": "Mars/Base"}}, "schedule.time_zone: 'Mars/Base' is not known"),
        ({"panel": {"green": {"line": "GPIO17"}}}, "panel.green.line: GPIO17 is already door.rel"),
        ({"door": {"second_factor": "button"}}, "needs door.factor_button.line"),
        ({"door": {"second_factor": "pin"}}, "'pin' needs door.lockout_attempts"),
        (
            {"access": {"liveness": "head_turn"}, "quality": {"max_yaw": 0.2}},
            "quality.max_yaw 0.2 refuses such looks; 0.28 or more",
        ),
        (
            {"access": {"liveness": "head_turn"}, "door": {"lockout_attempts": 10}},
            "each try takes 10 s, so 10 in door.lockout_within_s 60 never .* or 108 s",
        ),
        ({"door": {"held_open_warning_s": 30.0}}, "must be below door.held_open_alarm_s"),
    ],
)
def test_what_cannot_work_together_is_told(content, told):
    with pytest.raises(ConfigError, match=told):
        parse_config(content, "x")


def test_what_differs_from_the_defaults_is_named_without_its_value():
    changed = {
        "door": {"pulse_s": 2.0, "relay": {"active_low": True}},
        "schedule": {"groups": [{"people": ["Ann"], "windows": []}]},
    }
    assert differences(Config()) == []
    assert differences(parse_config(changed, "test")) == [
        "door.relay.active_low",
        "door.pulse_s",
        "schedule.groups",
    ]


def test_a_section_that_is_there_twice_is_a_mistake(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("door: {pulse_s: 2.0}\ncamera: {fps: 5.0}\ndoor: {lockout_attempts: 5}\n")
    with pytest.raises(ConfigError, match=r"line 3: .*'door' is there twice"):
        load_config(path)


def test_yaml_nested_without_end_is_one_line(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("[" * 5000)
    with pytest.raises(ConfigError, match=r"not valid YAML"):
        load_config(path)


@pytest.mark.parametrize(
    "folder", ["/tmp/a\0b", "~nobody-of-this-name/x", "/tmp/" + "x" * 300, "x/" * 3000]
)
def test_a_path_that_can_be_none_is_told_with_its_setting(folder):
    with pytest.raises(ConfigError, match=r"state\.folder"):
        parse_config({"state": {"folder": folder}}, "x")


def test_a_gate_reports_the_faces_that_the_networks_figures_count():
    """What the card says was measured at the limit that a gate has without a setting."""
    card = read_card(parts.refiner_path(Config()))
    assert Config().detection.min_score == card.raw["figures"]["min_score"]


@pytest.mark.parametrize("votes", [1, 5])
def test_all_votes_may_be_needed(votes):
    config = parse_config({"access": {"votes_needed": votes, "votes_of": votes}}, "x")
    assert config.access.votes_needed == votes


def test_systemds_folders_and_credentials_are_used(tmp_path, monkeypatch):
    """Of several folders, which systemd parts by colons, the first."""
    monkeypatch.setenv("STATE_DIRECTORY", f"{tmp_path}/a:{tmp_path}/b")
    monkeypatch.setenv("RUNTIME_DIRECTORY", f"{tmp_path}/c:{tmp_path}/d")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert Config().state_folder == tmp_path / "a"
    assert Config().socket_path == tmp_path / "c" / "control.sock"
    assert Config().key_path == tmp_path / "a" / "key"
    (tmp_path / "facegate-key").write_bytes(bytes(32))
    assert Config().key_path == tmp_path / "facegate-key"


def test_any_changed_setting_changes_the_fingerprint():
    usual = fingerprint(Config())
    for section, changed in {
        "camera": {"fps": 10.0},
        "access": {"target_fmr": 0.01},
        "quality": {"max_yaw": 0.3},
        "door": {"pulse_s": 5.0},
        "journal": {"names": True},
    }.items():
        assert fingerprint(parse_config({section: changed}, "x")) != usual, section
