"""Rounding as INT8 will, while training: it must resemble what the converter really makes."""

import numpy as np
import pytest

from facegate.vision.preprocess import to_float

torch = pytest.importorskip("torch", reason="needs the extra [train]")
pytest.importorskip("keras", reason="needs the extra [train]")
architectures = pytest.importorskip("facegate.training.architectures")
fake = pytest.importorskip("facegate.training.fake_quantisation")
twin = pytest.importorskip("facegate.training.torch_twin")

pytestmark = [
    pytest.mark.train,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:tensorflow.*"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ai_edge_litert.*"),
]

SIDE = 64


def test_weights_have_127_steps_each_way_and_gradients_pass():
    weight = torch.randn(3, 4, 3, 3, generator=torch.Generator().manual_seed(0))
    weight[1] *= 100  # each channel has steps of its own
    weight.requires_grad_()
    rounded = fake.fake_weights(weight)
    step = weight.detach().abs().flatten(1).amax(1)[:, None, None, None] / 127
    assert ((rounded - weight).abs() <= step / 2 * 1.001).all()
    steps = (rounded / step).detach()
    assert (steps - steps.round()).abs().max() < 1e-3
    rounded.sum().backward()
    assert (weight.grad == 1).all()


def test_activations_have_256_steps_over_the_range_seen():
    layer = fake.FakeActivations()
    x = torch.linspace(-1, 3, 1000)
    assert (layer.eval()(x) == x).all()  # nothing seen: nothing rounded
    rounded = layer.train()(x)
    assert len(rounded.unique()) <= 256
    assert (rounded - x).abs().max() <= 4 / 255
    outside = torch.tensor([9.0, 1.0, -9.0], requires_grad=True)
    layer.eval()(outside).sum().backward()
    assert outside.grad.tolist() == [0, 1, 0]  # beyond the range there is nothing to gain
    assert layer(torch.zeros(1)).item() == 0


@pytest.fixture(scope="module")
def pictures():
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (48, 8, 8, 3))
    return np.kron(coarse, np.ones((1, 8, 8, 1))).astype(np.uint8)


def units(raw):
    raw = np.asarray(raw)
    return raw / np.linalg.norm(raw, axis=1, keepdims=True)


def test_it_costs_the_network_what_the_converter_does(perturb, answers, pictures):
    pytest.importorskip("tensorflow", reason="needs the extra [train]")
    from facegate.training import conversion

    model = perturb(architectures.inception_resnet_lite(SIDE, width=0.25, batch_size=1))
    content = conversion.to_int8_tflite(model, pictures, float_output=True)
    quantised = units(answers(content, pictures))
    views = torch.from_numpy(to_float(pictures)).permute(0, 3, 1, 2)
    rounding = twin.TorchTwin(model, fake_quantised=True).eval()
    assert not any("embedding" in name for name in (*rounding.ranges, *rounding._rounded))
    with torch.no_grad():
        exact = units(twin.TorchTwin(model).eval()(views))
        weights_alone = units(rounding(views))
        for layer in rounding.ranges.values():
            layer.train()
        # The converter's ranges hold black and white pictures too.
        flat = [torch.full((3, SIDE, SIDE), float(to_float(np.uint8(v)))) for v in (0, 255)]
        rounding(torch.cat([views, torch.stack(flat)]))
        rounded = units(rounding.eval()(views))
    # Roundings fall this way and that in each; how much they cost in all is what must agree.
    lost = ((quantised - exact) ** 2).sum()
    assert 0.4 * lost < ((rounded - exact) ** 2).sum() < 2.5 * lost
    assert 0 < ((weights_alone - exact) ** 2).sum() < lost


def test_a_training_with_it_goes_on_from_float_weights(perturb, pictures):
    model = perturb(architectures.inception_resnet_lite(SIDE, width=0.25))
    trunk = twin.TorchTwin(model, fake_quantised=True).train()
    before = [w.copy() for w in model.get_weights()]
    views = torch.from_numpy(to_float(pictures[:8])).permute(0, 3, 1, 2)
    optimiser = torch.optim.SGD(trunk.parameters(), lr=0.1)
    unit = torch.nn.functional.normalize(trunk(views), dim=1)
    (unit @ unit.T).mean().backward()
    kernels = [p for n, p in trunk.named_parameters() if n.endswith("weight") and p.ndim == 4]
    assert all(p.grad.abs().sum() > 0 for p in kernels)
    optimiser.step()
    after = trunk.store().get_weights()
    assert [w.shape for w in after] == [w.shape for w in before]
    assert any(not np.array_equal(a, b) for a, b in zip(after, before, strict=True))
