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
