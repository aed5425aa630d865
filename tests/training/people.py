"""Made-up people for the whole way: two public-domain portraits, reshaped and mixed."""

import cv2
import numpy as np

SIDE = 224
FACES = ((222, 118, 98), (266, 172, 158))  # middle and width of each portrait's face, pixels
FACE_PX = 84  # width of the face in a picture


def folder(path, portraits, people=6, each=4, seed=0):
    """Write `NAME/NAME_0001.jpg` as in Labeled Faces in the Wild; gives the folder."""
    rng = np.random.default_rng(seed)
    for person in range(people):
        name = f"Person_{chr(65 + person)}"
        (path / name).mkdir(parents=True)
        face = reshaped(portraits, person)
        for number in range(1, each + 1):
            file = path / name / f"{name}_{number:04d}.jpg"
            assert cv2.imwrite(str(file), seen_again(face, rng)[..., ::-1])
    return path


def reshaped(portraits, person):
    """Make a face of its own: one portrait mixed with the other, stretched and tinted."""
    rng = np.random.default_rng((7, person))
    heads = [_head(p, face) for p, face in zip(portraits, FACES, strict=True)]
    mix = (0.0, 1.0, 0.35, 0.65, 0.2, 0.8)[person % 6]
    base = heads[0] * (1 - mix) + heads[1] * mix
    wide, tall = rng.uniform(0.85, 1.15, 2)
    # Pull the middle of the face up or down and in or out, smoothly.
    y, x = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)
    u, v = (x - SIDE / 2) / SIDE, (y - SIDE / 2) / SIDE
    near = np.exp(-(u**2 + v**2) * 14)
    pull_x, pull_y = rng.uniform(-0.5, 0.5), rng.uniform(-14, 14)
    map_x = (u / wide * (1 + pull_x * near) + 0.5) * SIDE
    map_y = (v / tall + 0.5) * SIDE + pull_y * near * np.sign(v)
    bent = cv2.remap(base, map_x.astype(np.float32), map_y.astype(np.float32), cv2.INTER_LINEAR,
                     borderMode=cv2.BORDER_REPLICATE)  # fmt: skip
    return np.clip(bent * rng.uniform(0.75, 1.15, 3), 0, 255).astype(np.uint8)


def _head(pixels, face):
    """Cut head and shoulders to a square, the face in its middle."""
    x, y, width = face
    scale = FACE_PX / width
    matrix = np.array([[scale, 0, SIDE / 2 - x * scale], [0, scale, SIDE / 2 - y * scale]])
    return cv2.warpAffine(
        pixels, matrix, (SIDE, SIDE), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE
    ).astype(np.float32)


def seen_again(face, rng):
    """Show a face anew: turned, moved, nearer, in another light, with noise."""
    matrix = cv2.getRotationMatrix2D(
        (SIDE / 2, SIDE / 2), rng.uniform(-12, 12), rng.uniform(0.8, 1.2)
    )
    matrix[:, 2] += rng.uniform(-12, 12, 2)
    turned = cv2.warpAffine(face, matrix, (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE)
    lit = turned.astype(np.float32) * rng.uniform(0.55, 1.2)
    return np.clip(lit + rng.normal(0, 5, lit.shape), 0, 255).astype(np.uint8)
