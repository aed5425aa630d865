"""Embedder trainings in small: made-up people, a quarter of the width, 32 pixels."""

import csv
import itertools
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from facegate.errors import DataError, InputError, TrainingError, UsageError
from facegate.training.change import change
from facegate.training.verification import Verification
from facegate.vision.tflite import model_folder

torch = pytest.importorskip("torch", reason="needs the extra [train]")
pytest.importorskip("keras", reason="needs the extra [train]")
pa = pytest.importorskip("pyarrow", reason="needs the extra [train]")
pq = pytest.importorskip("pyarrow.parquet", reason="needs the extra [train]")
architectures = pytest.importorskip("facegate.training.architectures")
training = pytest.importorskip("facegate.training.embedder")
losses = pytest.importorskip("facegate.training.losses")
recipe = pytest.importorskip("facegate.training.recipe")
sampling = pytest.importorskip("facegate.training.sampling")

pytestmark = [
    pytest.mark.train,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:torch.*"),
    pytest.mark.filterwarnings("ignore::UserWarning:keras.*"),
]

SIDE = 32


def crops_of(person, count, rng):
    """Draw pictures of a made-up person: shapes of their own under any light and colour."""
    own = np.random.default_rng(person)
    places, sizes = own.integers(4, 28, (4, 2)), own.integers(3, 9, 4)
    shades = own.integers(0, 256, 4)
    for _ in range(count):
        picture = np.full((SIDE, SIDE), 128, np.float32)
        for (x, y), size, shade in zip(places + rng.integers(-1, 2, 2), sizes, shades, strict=True):
            cv2.circle(picture, (int(x), int(y)), int(size), float(shade), -1)
        lit = picture[:, :, None] * rng.uniform(0.3, 1.2, 3) + rng.normal(0, 8, (SIDE, SIDE, 3))
        yield np.clip(lit, 0, 255).astype(np.uint8)


def write(path, people, each, rng, target=False):
    images, names = [], []
    for person in people:
        for crop in crops_of(person, each, rng):
            images.append(cv2.imencode(".png", crop)[1].tobytes())
            names.append(f"p{person}")
    columns = {"image": images, "source": ["made-up"] * len(images), "identity": names}
    if target:
        columns["target"] = rng.normal(0, 40, (len(images), 512)).astype(np.int8).tolist()
    pq.write_table(pa.table(columns), path)
    return names


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """Sixty people to learn from and twenty others to be judged by; no teacher."""
    folder = tmp_path_factory.mktemp("people")
    rng = np.random.default_rng(0)
    write(folder / "faces-train-0.parquet", range(60), 8, rng)
    names = write(folder / "faces-val.parquet", range(100, 120), 6, rng)
    pairs = list(itertools.combinations(range(len(names)), 2))
    same = [p for p in pairs if names[p[0]] == names[p[1]]]
    other = [p for p in pairs if names[p[0]] != names[p[1]]]
    with (folder / "val-pairs.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["fold", "a", "b", "same"])
        for chosen, truth in ((same, 1), (other, 0)):
            for k, row in enumerate(rng.permutation(len(chosen))[:300]):
                rows.writerow([k % 5, *chosen[row], truth])
    return folder


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    """A folder with targets of a teacher, and nothing to be judged by."""
    folder = tmp_path_factory.mktemp("taught")
    write(folder / "faces-train-0.parquet", range(20), 4, np.random.default_rng(1), target=True)
    return folder


def settings(*stages, **changes):
    chosen = {"width": 0.25, "batch": 16, "people": 12, "pictures": 4, "peak_rate": 1e-3}
    chosen |= {"mining": "semi-hard", "margin": 0.2, **changes}
    return recipe.Settings(stages=tuple(recipe.parse_stage(s) for s in stages), **chosen)


def accuracy_of(weights, data, width=0.25):
    model = architectures.inception_resnet_lite(width=width)
    if weights:
        model.load_weights(weights)
    trunk = training.TorchTwin(model)
    return training.held_out_accuracy(trunk, data, SIDE, torch.device("cpu"))


@pytest.fixture(scope="module")
def learned(people, tmp_path_factory):
    """Weights that tell strangers apart, and what was said while they learned to."""
    told = []
    chosen = settings(f"triplet:{SIDE}:0:4800", peak_rate=2e-3)
    run = tmp_path_factory.mktemp("learned")
    return training.train(people, run, chosen, say=told.append), told


def test_triplets_from_scratch_teach_to_tell_strangers_apart(people, learned):
    weights, told = learned
    start, end = accuracy_of(None, people), accuracy_of(weights, people)
    assert end > start + 0.1
    assert end > 0.75
    assert not any("one point" in line for line in told)
    with (weights.parent / "train.csv").open() as file:
        last = list(csv.DictReader(file))[-1]
    assert float(last["progress"]) == 1
    assert 0 <= float(last["active"]) <= 1


@pytest.mark.parametrize(("rate", "worse"), [("0.1", True), ("1e-9", False)])
def test_weights_that_got_worse_are_told(people, learned, tmp_path, request, rate, worse):
    run = request.getfixturevalue("facegate")  # another of that name is below
    done = run(
        *("train", "embedder", "--data", people, "--out", tmp_path, "--width", "0.25"),
        *("--start-from", learned[0], "--stage", f"triplet:{SIDE}:0:480", "--rate", rate),
    )
    assert done.code == 0, done.err
    assert ("worse than what it began with; lower --rate" in done.out) == worse
    assert ("next: facegate export embedder" in done.out) != worse
    assert ", before 0." in done.out
    assert ("within chance" in done.out) != worse


def test_what_a_training_changed_is_told_from_chance():
    def seen(right):
        """Give 40 people with two pairs each; of one of each, so many are told rightly."""
        similarity = np.tile([0.9, 0.1], 40).astype(np.float32)
        similarity[2 * right :: 2] = 0.0
        people = np.stack([np.arange(80) // 2, (np.arange(80) // 2 + np.arange(80) % 2) % 40], 1)
        same = np.tile([True, False], 40)
        return Verification(similarity, same, np.zeros(80, np.int64), 0, people)

    assert change(seen(39), seen(20)).worse
    assert not change(seen(20), seen(39)).worse
    little = change(seen(39), seen(38))
    assert little.after < little.before
    assert not little.worse
    assert "within chance" in little.line


def test_of_two_people_a_pair_more_or_less_is_chance():
    """Drawn anew, two people are mostly the same two: that alone would say worse every time."""
    same = np.array([True] * 10 + [False] * 10)
    people = np.array([[0, 0]] * 5 + [[1, 1]] * 5 + [[0, 1]] * 10)

    def seen(wrong):
        similarity = np.where(same, 0.9, 0.1).astype(np.float32)
        similarity[10 : 10 + wrong] = 0.95
        return Verification(similarity, same, np.zeros(20, np.int64), 0, people)

    assert seen(0).similarity.shape == (20,)
    assert not change(seen(0), seen(1)).worse
    assert change(seen(0), seen(10)).worse


def test_a_collapse_is_said_and_ends_the_training(people, tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(training.losses, "triplet", collapsing)
    few = settings(f"triplet:{SIDE}:0:4000", people=4, pictures=2, peak_rate=5e-3)
    with pytest.raises(TrainingError, match="collapsed"):
        training.train(people, tmp_path / "run", few, say=told.append)
    assert any("nearly one point" in line for line in told)


def collapsed(path, layer):
    """Save weights that give everyone one vector, or zeros."""
    model = architectures.inception_resnet_lite(width=0.25)
    for gone in model.layers:
        if layer in gone.name:
            gone.set_weights([0 * w if k == 0 else w + 1 for k, w in enumerate(gone.get_weights())])
    model.save_weights(path)
    return path


@pytest.mark.parametrize("layer", ["_bn", "embedding"])
def test_a_training_that_ends_collapsed_leaves_no_weights(people, tmp_path, layer):
    weights = collapsed(tmp_path / "gone.weights.h5", layer)
    with pytest.raises(TrainingError, match="gives everyone one vector; use --mining"):
        training.train(
            people, tmp_path, settings(f"triplet:{SIDE}:0:48", peak_rate=1e-9), weights, str
        )
    assert not (tmp_path / "embedder.weights.h5").exists()


def collapsing(embedding, label, mining, margin):
    """Pull all faces together, as hard negatives do at the start of a bad training."""
    loss = (1 - embedding @ embedding.T).mean()
    return loss * 50, torch.tensor(1.0)


WITHOUT_TENSORFLOW = """
import sys
sys.modules["tensorflow"] = None
from facegate.cli.main import main
main()
"""


def command(data, out, *options):
    """Give the command line of a small training: a process of its own, as users run it.

    TensorFlow is for export alone: importing it would cost every training seconds.
    """
    return [
        *(sys.executable, "-c", WITHOUT_TENSORFLOW, "train", "embedder", "--width", "0.25"),
        *("--data", str(data), "--out", str(out), "--batch", "16", "--people", "12"),
        *("--threads", "1", *options),
    ]


def environment():
    return {k: v for k, v in os.environ.items() if k != "KERAS_BACKEND"}


def facegate(words):
    """Run a command in a process that was forked for it."""
    from facegate.cli.main import main

    sys.argv = ["facegate", *words]
    main()


@pytest.fixture(scope="module")
def start():
    """Start processes as `command` does, but forked from one that has imported everything."""
    forks = multiprocessing.get_context("forkserver")
    forks.set_forkserver_preload(["facegate.training.embedder", "facegate.cli.train"])

    def started(data, out, *options):
        process = forks.Process(target=facegate, args=(command(data, out, *options)[3:],))
        process.start()
        return process

    with pytest.MonkeyPatch.context() as patch:  # the server keeps the environment it began in
        patch.setenv("KERAS_BACKEND", "torch")
        yield started


def weights_of(run):
    return weights_of_file(run / "embedder.weights.h5")


def weights_of_file(path):
    model = architectures.inception_resnet_lite(width=0.25)
    model.load_weights(path)
    return np.concatenate([np.ravel(w) for w in model.get_weights()])


STAGES = ("--stage", "32:0.5:160", "--stage", "triplet:32:0.3:480")
"""Ten steps of each kind."""


@pytest.fixture(scope="module")
def undisturbed(taught, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "undisturbed"
    words = command(taught, out, *STAGES)
    done = subprocess.run(words, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return weights_of(out)


def test_two_runs_with_one_seed_agree_and_with_another_do_not(taught, undisturbed, start, tmp_path):
    runs = (
        start(taught, tmp_path / "again", *STAGES),
        start(taught, tmp_path / "other", *STAGES, "--seed", "1"),
    )
    for process in runs:
        process.join()
        assert process.exitcode == 0
    assert np.allclose(weights_of(tmp_path / "again"), undisturbed, rtol=1e-4, atol=1e-5)
    assert not np.allclose(weights_of(tmp_path / "other"), undisturbed, rtol=0.1, atol=0.01)


def test_a_run_killed_three_times_ends_where_an_undisturbed_one_does(
    taught, undisturbed, start, tmp_path
):
    out = tmp_path / "pieces"
    for kill, checkpoints in enumerate((1, 6, 6)):  # the last in the second stage
        process = start(taught, out, *STAGES, "--checkpoint-every", "0")
        for _ in range(checkpoints):
            before = checkpoint_time(out)
            while checkpoint_time(out) == before and process.is_alive():
                time.sleep(0.005)
        time.sleep(0.02 * kill)
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
    process = start(taught, out, *STAGES)
    process.join()
    assert process.exitcode == 0
    assert np.allclose(weights_of(out), undisturbed, rtol=1e-4, atol=1e-5)


def checkpoint_time(out):
    path = out / "checkpoint.pt"
    return path.stat().st_mtime_ns if path.exists() else None


SHIPPED = Path(__file__).parents[2] / "models" / "inception_resnet_lite.tflite"


def test_a_run_begins_with_a_shipped_model_and_a_head_that_fits_it(taught, tmp_path):
    still = {"peak_rate": 1e-9}
    whole = settings("32:0.3:80", width=1.0, **still)
    path = training.train(taught, tmp_path / "run", whole, start_from=SHIPPED)
    views = torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, (4, 3, SIDE, SIDE))).float()
    answers = []
    for source in (path, SHIPPED):
        model = architectures.inception_resnet_lite()
        training.load_weights(model, source)
        with torch.no_grad():
            raw = training.TorchTwin(model).eval()(views)
        answers.append(torch.nn.functional.normalize(raw, dim=1))
    assert (answers[0] * answers[1]).sum(1).min() > 0.999
    training.train(taught, tmp_path / "fresh", settings("32:0.3:80", **still))
    assert cosine_of(tmp_path / "run") > cosine_of(tmp_path / "fresh") + 0.1


def test_a_larger_network_begins_as_the_one_whose_weights_it_is_given(taught, tmp_path):
    small = settings("32:0:80")
    path = training.train(taught, tmp_path / "small", small)
    still = {"peak_rate": 1e-9, "blocks": (3, 6, 4)}
    grown = training.train(taught, tmp_path / "grown", settings("32:0:80", **still), path)
    views = torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, (4, 3, SIDE, SIDE))).float()
    answers = []
    for source, run in ((path, small), (grown, settings("32:0:80", **still))):
        model = architectures.inception_resnet_lite(**run.variant.arguments)
        training.load_weights(model, source)
        with torch.no_grad():
            raw = training.TorchTwin(model).eval()(views)
        answers.append(torch.nn.functional.normalize(raw, dim=1))
    assert (answers[0] * answers[1]).sum(1).min() > 0.999
    # Growing goes on from a grown one: its run says how many blocks it has.
    told = {"commands": [], "settings": {"blocks": [3, 6, 4]}}
    (tmp_path / "grown" / "run.json").write_text(json.dumps(told))
    more = settings("32:0:80", **still | {"blocks": (3, 6, 5)})
    training.train(taught, tmp_path / "more", more, grown)
    fewer = settings("32:0:80", **still | {"blocks": (3, 5, 4)})
    with pytest.raises(InputError, match="can only grow by blocks"):
        training.train(taught, tmp_path / "fewer", fewer, grown)


def cosine_of(run):
    with (run / "train.csv").open() as file:
        return float(list(csv.DictReader(file))[-1]["cosine"])


def test_a_training_rounds_as_int8_will(taught, tmp_path):
    rounding = settings("32:0:32", fake_quantisation=True)
    path = training.train(taught, tmp_path / "run", rounding)
    saved = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
    ranges = [k for k in saved["network"] if k.endswith(".high")]
    assert len(ranges) > 50
    assert all(float(saved["network"][k]) > 0 for k in ranges)
    with pytest.raises(DataError, match="fake_quantisation"):
        training.train(taught, tmp_path / "run", settings("32:0:32"))
    assert path.is_file()


def test_distillation_without_a_teacher_is_refused(people, tmp_path):
    with pytest.raises(DataError, match="triplet stages alone"):
        training.train(people, tmp_path / "run", settings("32:0:64"))


def test_a_folder_with_another_run_is_refused(taught, people, tmp_path):
    run, chosen = tmp_path / "run", settings("32:0:32")
    path = training.train(taught, run, chosen)
    with pytest.raises(DataError, match=r"other settings \(stages, peak_rate was 0\.001\)"):
        training.train(taught, run, settings("32:0:64", peak_rate=2e-3))
    with pytest.raises(DataError, match=r"other settings \(data\)"):
        training.train(people, run, chosen)
    with pytest.raises(DataError, match=r"other settings \(start_from\)"):
        training.train(taught, run, chosen, start_from=path)


def test_a_checkpoint_that_does_not_say_its_data_goes_on(taught, tmp_path):
    training.train(taught, tmp_path, settings("32:0:32"))
    saved = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    for name in ("data", "start_from"):
        del saved["settings"][name]
    torch.save(saved, tmp_path / "checkpoint.pt")
    told = []
    training.train(taught, tmp_path, settings("32:0:32"), say=told.append)
    assert any("going on" in line for line in told)


def test_what_the_weights_are_of_is_taken_where_nothing_is_asked(tmp_path):
    weights, of, larger = tmp_path / "embedder.weights.h5", recipe.variant_of, "inception_resnet_v1"
    made = {"architecture": larger, "width": 0.5, "blocks": [1, 2, 1]}
    (tmp_path / "run.json").write_text(json.dumps({"commands": [], "settings": made}))
    assert of(None, None, None, weights) == recipe.Variant(larger, 0.5, (1, 2, 1))
    assert of(None, 1.0, "5/10/5", weights) == recipe.Variant(larger, 1.0, (5, 10, 5))
    assert of("inception_resnet_lite", None, None, weights) == recipe.Variant()
    assert of(None, None, None, None) == recipe.Variant()
    for name in ("inception_resnet_lite", larger):
        shipped = model_folder() / f"{name}.tflite"
        assert of(None, None, None, shipped) == recipe.Variant(name)


@pytest.mark.parametrize("told", [{"settings": []}, {"arguments": 3}, {"commands": "x"}, []])
def test_what_is_told_of_weights_in_another_form_is_refused(tmp_path, told):
    (tmp_path / "run.json").write_text(json.dumps(told))
    with pytest.raises(InputError, match=r"run\.json: cannot be read"):
        recipe.variant_of(None, None, None, tmp_path / "embedder.weights.h5")


def test_a_checkpoint_of_a_network_of_another_shape_is_said_to_be_that(taught, tmp_path):
    training.train(taught, tmp_path, settings("32:0:32"))
    saved = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    saved["network"] = {k: v for k, v in saved["network"].items() if "hidden" not in k}
    torch.save(saved, tmp_path / "checkpoint.pt")
    with pytest.raises(DataError, match=r"network of another shape.*another --out"):
        training.train(taught, tmp_path, settings("32:0:32"))


def test_the_head_begins_linear_and_its_hidden_layer_learns():
    head = losses.Head(8, 16)
    points = torch.nn.functional.normalize(torch.randn(64, 8), dim=1)
    straight = torch.nn.functional.normalize(head.linear(points), dim=1)
    assert torch.equal(head(points), straight)

    wanted = torch.nn.functional.normalize(points[:, :1].abs() * torch.randn(1, 16), dim=1)
    before, optimiser = _apart(head, points, wanted), torch.optim.Adam(head.parameters(), 1e-2)
    for _ in range(100):
        optimiser.zero_grad()
        _apart(head, points, wanted).backward()
        optimiser.step()
    assert _apart(head, points, wanted) < before / 10  # no linear map gives an absolute value
    alone = torch.nn.functional.normalize(head.linear(points), dim=1)
    assert (1 - (alone * wanted).sum(1)).mean() > 0.1


def test_a_head_is_fitted_to_embeddings_as_they_are():
    """The linear part alone would leave what bends to be learned while the trunk already moves."""
    random = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    points = torch.nn.functional.normalize(torch.randn(1024, 8, generator=random), dim=1)
    wanted = torch.nn.functional.normalize(
        torch.cat([points.abs(), points @ torch.randn(8, 12, generator=random)], dim=1), dim=1
    )
    head = losses.Head(8, 20)
    before = _apart(head, points, wanted)
    losses.fit_head(head, points, wanted, random)
    linear = torch.nn.functional.normalize(head.linear(points), dim=1)
    assert _apart(head, points, wanted) < (1 - (linear * wanted).sum(1)).mean() < before


def _apart(head, points, wanted):
    return (1 - (head(points) * wanted).sum(1)).mean()


@pytest.mark.parametrize("text", ["64", "64:0.2", "50:0.2:10", "64:2:10", "x:1:1", "triplet:64:1"])
def test_a_stage_that_cannot_be_is_refused(text):
    with pytest.raises(UsageError, match="stage"):
        recipe.parse_stage(text)


def statistics_of(weights):
    model = architectures.inception_resnet_lite(width=0.25)
    model.load_weights(weights)
    norms = [layer for layer in model.layers if "_bn" in layer.name]
    return np.concatenate([np.ravel(w) for n in norms for w in (n.moving_mean, n.moving_variance)])


@pytest.mark.parametrize("hold", [True, False])
def test_statistics_are_held_where_that_is_wanted(taught, tmp_path, hold):
    start = tmp_path / "start.weights.h5"
    model = architectures.inception_resnet_lite(width=0.25)
    rng = np.random.default_rng(2)
    for layer in model.layers:
        if "_bn" in layer.name:
            layer.moving_mean.assign(rng.normal(0, 0.1, layer.moving_mean.shape))
    model.save_weights(start)
    chosen = settings(f"triplet:{SIDE}:0:192", hold_statistics=hold, others=16)
    ended = training.train(taught, tmp_path / "run", chosen, start, str)
    assert np.array_equal(statistics_of(ended), statistics_of(start)) == hold
    assert not np.allclose(weights_of(tmp_path / "run"), weights_of_file(start), atol=1e-4)


def test_no_statistics_are_held_of_nothing(people, tmp_path, request):
    run = request.getfixturevalue("facegate")
    words = ("train", "embedder", "--data", people, "--out", tmp_path / "run")
    done = run(*words, "--hold-statistics")
    assert done.misuse
    assert "name --start-from" in done.err
    assert not (tmp_path / "run").exists()


# --- which crops a step sees


def test_an_epoch_shows_every_row_once_and_goes_on_where_it_stopped():
    def take(skip, count):
        return list(itertools.islice(sampling.shuffled(12, 4, seed=3, skip=skip), count))

    whole = take(0, 6)
    assert sorted(np.concatenate(whole[:3])) == list(range(12))
    assert np.array_equal(whole[4:], take(4, 2))


def test_batches_are_balanced_and_go_on_where_they_stopped():
    label = np.repeat(np.arange(10), [1, 2, 3, 9, 9, 9, 9, 9, 9, 9])
    balanced = sampling.Balanced(label, people=5, pictures=4)
    batches = list(itertools.islice(balanced.batches(seed=1), 30))
    for rows in batches:
        who, count = np.unique(label[rows], return_counts=True)
        assert len(who) == 5
        assert (count == 4).all()
        assert 0 not in who  # one picture makes no pair
    assert np.array_equal(next(balanced.batches(seed=1, skip=29)), batches[29])


def test_others_are_shown_beside_the_people_of_a_batch_and_go_on_where_they_stopped():
    label = np.concatenate([np.repeat(np.arange(20), 4), 20 + np.arange(100)])
    stage = recipe.parse_stage(f"triplet:{SIDE}:0:480")
    chosen = settings(f"triplet:{SIDE}:0:480", people=5, pictures=4, others=12)
    batches, size = training._batches(label, stage, chosen, 0, 0)
    first = list(itertools.islice(batches, 6))
    assert size == 32
    for rows in first:
        _, count = np.unique(label[rows[:20]], return_counts=True)
        assert count.tolist() == [4] * 5
        assert len(np.unique(rows[20:])) == 12
        assert (label[rows[20:]] >= 20).any()
    later = itertools.islice(training._batches(label, stage, chosen, 0, 4)[0], 2)
    assert all(map(np.array_equal, first[4:], later))


def test_too_few_people_make_no_triplets():
    with pytest.raises(DataError, match="two people with two pictures"):
        sampling.Balanced(np.array([0, 0, 1, 2]), 4, 4)


def test_the_time_left_is_not_taken_for_minutes_and_seconds(tmp_path):
    log = pytest.importorskip("facegate.training.loop").Log(tmp_path)
    log._began = (time.monotonic() - 30, 0.0)
    assert log._time_left(0.5) == "0 h 01 min left"
    assert log._time_left(0.001) == "8 h 20 min left"


def test_no_two_epochs_and_no_two_batches_are_alike():
    shown = list(itertools.islice(sampling.shuffled(64, 64, seed=3), 3))
    assert not np.array_equal(shown[0], shown[1])
    assert not np.array_equal(shown[1], shown[2])
    balanced = sampling.Balanced(np.repeat(np.arange(20), 6), people=5, pictures=4)
    first, second = itertools.islice(balanced.batches(seed=1), 2)
    assert not np.array_equal(first, second)
