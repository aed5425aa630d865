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


def views(crop, strength, count=64, side=160, seed=0):
    """Give views of one crop as pixels, float (N, side, side, 3)."""
    crops = torch.from_numpy(np.repeat(crop[None], count, 0))
    given = augmenting.augment(crops, side, strength, torch.Generator().manual_seed(seed))
    return (given * 128 + 127.5).permute(0, 2, 3, 1).numpy()


def dots(*places, size=160):
    """Black, with a small bright dot at each place."""
    crop = np.zeros((size, size, 3), np.uint8)
    for x, y in places:
        cv2.circle(crop, (x, y), 4, (255, 255, 255), -1, cv2.LINE_AA)
    return crop


def seen_at(pictures):
    """Give where the dot of each picture is: float (N, 2), x and y."""
    light = (pictures - pictures.min(axis=(1, 2, 3), keepdims=True)).mean(3)
    total = light.sum(axis=(1, 2))
    ys, xs = np.mgrid[: light.shape[1], : light.shape[2]]
    return np.stack([(light * xs).sum((1, 2)) / total, (light * ys).sum((1, 2)) / total], 1)


def test_a_view_is_a_face_turned_and_mirrored_never_sheared():
    """The same views of three dots: right angles stay right, and upright is upright."""
    middle, right, below = (
        seen_at(views(dots(at), 0.0)) for at in ((80, 80), (115, 80), (80, 115))
    )
    across, down = right - middle, below - middle
    lengths = np.linalg.norm(across, axis=1), np.linalg.norm(down, axis=1)
    cosine = (across * down).sum(1) / lengths[0] / lengths[1]
    assert np.abs(cosine).max() < 0.03
    assert np.abs(lengths[0] / lengths[1] - 1).max() < 0.03
    assert np.abs(lengths[0] / 35 - 1).max() < 0.1
    assert (down[:, 1] > 0).all()  # nobody stands on their head
    turned = np.degrees(np.arctan2(down[:, 0], down[:, 1]))
    assert 2 < np.abs(turned).max() < 5
    mirrored = (across[:, 0] < 0).mean()
    assert 0.25 < mirrored < 0.75
    assert np.abs(middle - 80).max() < 5.5


def test_red_stays_red_and_up_stays_up():
    crop = np.zeros((160, 160, 3), np.uint8)
    crop[..., 0] = 200
    crop[:80, :, 1] = 100  # a green shine above
    seen = views(crop, 0.0).mean(0)
    assert seen[..., 0].mean() > 150 > 100 > seen[..., 2].mean()
    assert seen[:60, :, 1].mean() > seen[100:, :, 1].mean() + 50


def test_light_changes_about_the_middle_grey():
    grey = np.full((160, 160, 3), 127, np.uint8)
    levels = views(grey, 0.0, 200).mean(axis=(1, 2, 3))
    assert abs(levels.mean() - 127) < 3
    assert np.abs(levels - 127).max() < 12


def test_masks_hide_the_mouth_and_glasses_the_eyes():
    """In a picture of coarse patches, what was drawn over is flat."""
    coarse = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    seen = views(np.kron(coarse, np.ones((20, 20, 1), np.uint8)), 1.0, 600)

    def flat(rows, columns):
        return seen[:, slice(*rows), slice(*columns)].std(axis=(1, 2)).max(1) < 12

    above, below = flat((5, 75), (5, 155)), flat((110, 155), (5, 155))
    assert (below & ~above).sum() > 30
    assert (above & ~below).sum() < 3
    eyes, nose = flat((62, 70), (40, 120)), flat((40, 120), (62, 70))
    assert (eyes & ~above).sum() > 5
    assert nose.sum() < 5


def test_what_is_far_away_has_lost_its_detail():
    noise = np.random.default_rng(0).integers(0, 256, (160, 160, 3), dtype=np.uint8)
    plain, hard = (views(noise, s, 200).std(axis=(1, 2, 3)) for s in (0.0, 1.0))
    assert (hard < 0.5 * np.median(plain)).mean() > 0.15
