"""scikit-learn's half of logistic.rs: one process, told by lines on its input.

    python logistic_sklearn.py FOLDER

FOLDER holds codes.npy and labels.npy. Each line on the input is a strength of L2 to fit with; each
is answered with "ok". scikit-learn has the codes in float32, as they are, and may take as many
iterations as it likes.
"""

import sys
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

folder = Path(sys.argv[1])
codes, labels = (np.load(folder / f"{name}.npy") for name in ("codes", "labels"))

for line in sys.stdin:
    LogisticRegression(C=1 / float(line), max_iter=10_000).fit(codes, labels)
    print("ok", flush=True)
