import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra [train]")
augmenting = pytest.importorskip("facegate.training.augment")

pytestmark = pytest.mark.train


@pytest.fixture
def crops():
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (6, 10, 10, 3), dtype=np.uint8)
    return torch.from_numpy(
        np.stack([cv2.resize(c, (160, 160), interpolation=cv2.INTER_CUBIC) for c in coarse])
    )


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("side", [64, 160])
def test_views_have_the_networks_range_and_layout(crops, side, strength):
    views = augmenting.augment(crops, side, strength, torch.Generator().manual_seed(1))
    assert views.shape == (6, 3, side, side)
    assert views.is_contiguous(memory_format=torch.channels_last)
    assert float(views.min()) >= -127.5 / 128 - 1e-6
    assert float(views.max()) <= 127.5 / 128 + 1e-6
    assert torch.isfinite(views).all()


def test_one_seed_gives_one_view(crops):
    def draw(seed):
        return augmenting.augment(crops, 64, 1.0, torch.Generator().manual_seed(seed))

    assert torch.equal(draw(3), draw(3))
    assert not torch.equal(draw(3), draw(4))


def test_strength_moves_a_view_away_from_its_crop(crops):
    many = crops.repeat(40, 1, 1, 1)
    clean = (many.permute(0, 3, 1, 2).float() - 127.5) / 128

    def change(strength):
        views = augmenting.augment(many, 160, strength, torch.Generator().manual_seed(0))
        return float((views - clean).abs().mean())

    assert change(0.0) < change(0.5) < change(1.0)


@pytest.mark.parametrize("quality", [20, 50, 80])
def test_compression_is_near_to_a_real_encoders(crops, quality):
    grey = crops[..., :1].repeat(1, 1, 1, 3)
    ours = augmenting.jpeg(grey.permute(0, 3, 1, 2).float(), torch.full((6,), float(quality)))
    for k in range(6):
        _, data = cv2.imencode(".jpg", grey[k].numpy(), [cv2.IMWRITE_JPEG_QUALITY, quality])
        real = cv2.imdecode(data, cv2.IMREAD_COLOR).astype(np.float32)
        clean = grey[k].numpy().astype(np.float32)
        mine = ours[k].permute(1, 2, 0).numpy()
        assert np.abs(mine - real).mean() < 1.0
        assert np.abs(mine - real).mean() < np.abs(clean - real).mean() + 0.5
