"""The crowd-kit half of `fit`; runs in an environment of its own, prints seconds."""

from __future__ import annotations

import sys
import time

import numpy as np
import pandas as pd
from crowdkit.aggregation import DawidSkene


def main() -> None:
    path, rounds = sys.argv[1:]
    with np.load(path) as file:
        frame = pd.DataFrame({name: file[name] for name in ("task", "worker", "label")})
    start = time.perf_counter()
    DawidSkene(n_iter=int(rounds), tol=-1e9).fit(frame)
    print(time.perf_counter() - start)


if __name__ == "__main__":
    main()
