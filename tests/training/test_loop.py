"""What the training loops share: the running average, and passes recorded on a GPU."""

import copy

import pytest

torch = pytest.importorskip("torch", reason="needs the extra [train]")
pytest.importorskip("keras", reason="needs the extra [train]")
loop = pytest.importorskip("facegate.training.loop")

pytestmark = pytest.mark.train


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
def test_recorded_passes_are_the_networks_own():
    """Also after the input's size changed; in evaluation nothing recorded runs."""
    device = torch.device("cuda")
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.ReLU(), torch.nn.Flatten()
    ).to(device)
    for side in (16, 24):
        plain = copy.deepcopy(network)
        vars(plain).pop("forward", None)
        loop.graphed(network, 4, side, device)
        x = torch.randn(4, 3, side, side, device=device)
        found = []
        for module in (plain, network):
            with loop.mixed_precision(device):
                y = module(x)
            module.zero_grad()
            y.float().square().mean().backward()
            found.append((y.detach().clone(), module[0].weight.grad.clone()))
        for own, recorded in zip(*found, strict=True):
            assert torch.allclose(own, recorded, atol=1e-2)
    network.eval()
    assert network(torch.randn(1, 3, 9, 9, device=device)).shape == (1, 8 * 7 * 7)
