"""What the training loops share: the running average, and passes recorded on a GPU."""

import copy

import numpy as np
import pytest

from facegate.vision.preprocess import to_float

torch = pytest.importorskip("torch", reason="needs the extra [train]")
pytest.importorskip("keras", reason="needs the extra [train]")
loop = pytest.importorskip("facegate.training.loop")
architectures = pytest.importorskip("facegate.training.architectures")
TorchTwin = pytest.importorskip("facegate.training.torch_twin").TorchTwin

pytestmark = pytest.mark.train


def test_a_network_is_trained_on_what_it_is_shown_at_the_door():
    pixels = np.arange(256 * 3, dtype=np.int64).astype(np.uint8).reshape(2, 8, 16, 3)
    views = loop.network_input(torch.from_numpy(pixels), torch.device("cpu"))
    assert views.dtype == torch.float32
    assert np.array_equal(views.permute(0, 2, 3, 1).numpy(), to_float(pixels))


@pytest.mark.parametrize("mode", [True, False])
def test_whoever_is_asked_learns_nothing_and_comes_back_as_it_was(mode):
    network = torch.nn.BatchNorm1d(3).train(mode)
    with loop.evaluating(network):
        assert not network.training
        assert not network(torch.randn(4, 3)).requires_grad
    assert network.training is mode
    assert int(network.num_batches_tracked) == 0


def test_the_average_follows_and_forgets_its_random_start():
    module = torch.nn.BatchNorm1d(3)
    average = loop.averaged(module, decay=0.5)
    wanted = module.weight.detach().clone()
    for step in range(8):
        with torch.no_grad():
            module.weight.fill_(step + 1.0)
            module.running_var.fill_(2 * step + 2.0)
        module.num_batches_tracked += 1
        average.update_parameters(module)
        kept = 0.0 if step == 0 else min(0.5, (1 + step) / (10 + step))
        wanted = kept * wanted + (1 - kept) * (step + 1.0)
        assert torch.allclose(average.module.weight, wanted)
        assert torch.allclose(average.module.running_var, 2 * wanted)
        assert int(average.module.num_batches_tracked) == step + 1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("rounded", [False, True])
def test_recorded_passes_are_the_networks_own(rounded):
    """Also after the input's size changed; in evaluation nothing recorded runs."""
    device = torch.device("cuda")
    model = architectures.inception_resnet_lite(width=0.25)
    network = TorchTwin(model, rounded).to(device, memory_format=torch.channels_last)
    direction = torch.randn(4, 128, device=device)
    for side in (32, 64):
        plain = copy.deepcopy(network)
        vars(plain).pop("forward", None)
        before = [b.clone() for b in network.buffers()]
        loop.graphed(network, 4, side, device)
        assert "forward" in vars(network)
        assert all(torch.equal(b, k) for b, k in zip(network.buffers(), before, strict=True))
        x = torch.randn(4, 3, side, side, device=device)
        for module in (plain, network):
            with loop.mixed_precision(device):
                y = module(x)
            module.zero_grad()
            (y.float() * direction).sum().backward()
        for own, recorded in zip(plain.parameters(), network.parameters(), strict=True):
            assert own.grad.norm() > 0
            assert (own.grad - recorded.grad).norm() < 0.1 * own.grad.norm()
    network.eval()
    assert network(torch.randn(1, 3, 96, 96, device=device)).shape == (1, 128)


def test_the_rate_rises_stays_below_its_peak_and_falls_to_a_hundredth():
    rates = [loop.learning_rate(k / 1000, 2.0, warm_up=0.1) for k in range(1001)]
    assert rates[0] < 0.01
    assert max(rates) == pytest.approx(2.0, rel=1e-2)
    assert np.argmax(rates) in (100, 101)
    assert (np.diff(rates[:100]) > 0).all()
    assert (np.diff(rates[101:]) < 0).all()
    assert rates[550] == pytest.approx(0.505 * 2.0, rel=1e-3)  # half way down
    assert rates[-1] == pytest.approx(0.02, rel=1e-6)


@pytest.mark.parametrize(("longest", "step"), [(None, 1e3), (1.0, 1.0)])
def test_gradients_are_anew_in_every_step_and_never_longer_than_said(longest, step):
    network = torch.nn.Linear(1, 1, bias=False)
    learner = loop.Learner(network, 1e-9, 0.0, longest)
    for _ in range(3):
        learner.learn(network.weight.sum() * 1e3, 0.5)
        assert float(network.weight.grad.norm()) == pytest.approx(step, rel=1e-3)


def test_a_run_goes_on_with_its_momentum():
    """What the optimiser knows is half of a checkpoint."""

    def learner():
        torch.manual_seed(0)
        return loop.Learner(torch.nn.Linear(3, 1), 0.1, 0.0)

    def teach(one, steps):
        for _ in range(steps):
            one.learn(one.network(torch.ones(1, 3)).square().sum(), 0.5)

    whole, first, second = learner(), learner(), learner()
    teach(whole, 8)
    teach(first, 4)
    second.go_on(first.state())
    teach(second, 4)
    assert torch.allclose(second.network.weight, whole.network.weight, atol=1e-6)
