"""The gate beside a door: looks, knows who is there, and opens."""

import os

# One product with ten thousand templates takes 0.2 ms on one core. Shared out among cores it waits
# for the slowest of them, and where the networks keep them busy that was 40 ms. OpenBLAS reads this
# once, when numpy is first imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
