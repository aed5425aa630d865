"""What tests of a store share: keys, templates, and hands that change the file from outside."""

import sqlite3
from contextlib import closing

import numpy as np

KEY, OTHER_KEY = bytes(range(32)), bytes(32)
MODEL = "model-a"


def vectors(count, seed=0):
    rows = np.random.default_rng(seed).standard_normal((count, 128)).astype(np.float32)
    return list(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def unit(vector):
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def at(*angles):
    """Looks in a plane: the angle between two, in degrees, is how unlike they are."""
    plane = np.linalg.qr(np.stack(vectors(2)).T)[0].T
    turned = np.deg2rad(angles)
    return [unit(np.cos(a) * plane[0] + np.sin(a) * plane[1]) for a in turned]


def raw(path, *statements):
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def files(path):
    return [p for p in path.parent.iterdir() if p.name.startswith(path.name)]
