import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="needs the extra [train]")
mining = pytest.importorskip("facegate.training.mining")
losses = pytest.importorskip("facegate.training.losses")

pytestmark = pytest.mark.train


@st.composite
def batches(draw):
    """Distances without ties, and labels: a batch of 2 to 12 rows."""
    n = draw(st.integers(2, 12))
    label = draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))
    order = draw(st.permutations(range(n * (n - 1) // 2)))
    distance = np.zeros((n, n), np.float32)
    distance[np.triu_indices(n, 1)] = (np.array(order) + 1) / 40
    return distance + distance.T, np.array(label)


def rows(triplets):
    return sorted(zip(*(t.tolist() for t in triplets), strict=True))


def of(name, distance, label):
    return rows(mining.MINING[name](torch.from_numpy(distance), torch.from_numpy(label)))


@given(batches())
@settings(max_examples=150, deadline=None)
def test_batch_hard_is_what_a_search_finds(batch):
    distance, label = batch
    wanted = []
    for a in range(len(label)):
        same = [p for p in range(len(label)) if p != a and label[p] == label[a]]
        other = [n for n in range(len(label)) if label[n] != label[a]]
        if same and other:
            wanted.append(
                (
                    a,
                    max(same, key=lambda p: distance[a, p]),
                    min(other, key=lambda n: distance[a, n]),
                )
            )
    assert of("batch-hard", distance, label) == wanted


@given(batches())
@settings(max_examples=150, deadline=None)
def test_semi_hard_is_what_a_search_finds(batch):
    distance, label = batch
    wanted = []
    for a in range(len(label)):
        other = [n for n in range(len(label)) if label[n] != label[a]]
        for p in range(len(label)):
            if p == a or label[p] != label[a] or not other:
                continue
            farther = [n for n in other if distance[a, n] > distance[a, p]]
            pick = min if farther else max
            wanted.append((a, p, pick(farther or other, key=lambda n: distance[a, n])))
    assert of("semi-hard", distance, label) == sorted(wanted)


def test_squared_distances_are_those_of_the_vectors():
    x = torch.nn.functional.normalize(torch.randn(6, 8, generator=torch.Generator().manual_seed(0)))
    wanted = torch.cdist(x, x).square()
    assert torch.allclose(mining.squared_distances(x), wanted, atol=1e-5)


@pytest.mark.parametrize("name", list(mining.MINING))
def test_a_collapsed_batch_costs_the_margin_and_all_of_it_is_active(name):
    x = torch.nn.functional.normalize(torch.ones(6, 8))
    loss, active = losses.triplet(x, torch.tensor([0, 0, 1, 1, 2, 2]), name, margin=0.2)
    assert float(loss) == pytest.approx(0.2, abs=1e-5)
    assert float(active) == 1
    assert losses.spread(x) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("name", list(mining.MINING))
def test_people_far_apart_cost_nothing(name):
    x = torch.eye(3).repeat_interleave(2, 0)
    loss, active = losses.triplet(x, torch.tensor([0, 0, 1, 1, 2, 2]), name, margin=0.2)
    assert (float(loss), float(active)) == (0, 0)
    assert losses.spread(x) > 0.6


@pytest.mark.parametrize("label", [[0, 1, 2], [0, 0, 0]])
def test_a_batch_without_triplets_costs_nothing_and_can_be_learnt_from(label):
    x = torch.nn.functional.normalize(torch.randn(3, 4)).requires_grad_()
    loss, active = losses.triplet(x, torch.tensor(label), "semi-hard", margin=0.2)
    loss.backward()
    assert (float(loss.detach()), float(active)) == (0, 0)
    assert not x.grad.any()


def student_and_teacher(rows=12):
    torch.manual_seed(0)
    unit = torch.nn.functional.normalize(torch.randn(rows, 8), dim=1)
    return (
        unit,
        torch.nn.functional.pad(unit, (0, 24)),
        torch.nn.functional.normalize(torch.randn(40, 32), dim=1),
    )


def test_a_student_that_sees_all_as_the_teacher_does_costs_nothing():
    unit, target, bank = student_and_teacher()
    assert float(losses.distillation(unit, target, target, bank)) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("part", ["projected", "own"])
def test_whoever_sees_it_otherwise_pays_more_the_farther_it_is_off(part):
    """By what the head makes of it, and by the embeddings themselves, which are compared."""
    unit, target, bank = student_and_teacher()
    other = torch.nn.functional.normalize(torch.randn(12, 32), dim=1)
    costs = []
    for share in (0.1, 0.4, 0.9):
        mixed = torch.nn.functional.normalize((1 - share) * target + share * other, dim=1)
        own = torch.nn.functional.normalize((1 - share) * unit + share * other[:, :8], dim=1)
        given = (unit, mixed) if part == "projected" else (own, target)
        costs.append(float(losses.distillation(*given, target, bank)))
    assert 0 < costs[0] < costs[1] < costs[2]
