"""The rows that the cases train on and score: small, and the same every time."""

from __future__ import annotations

import numpy as np
import pandas as pd

_random = np.random.default_rng(7)
NUMBERS = pd.DataFrame({"x": _random.normal(size=60), "y": _random.normal(size=60)})
ARRAY = NUMBERS.to_numpy(dtype=np.float32)
MIXED = NUMBERS.assign(
    carrier=_random.choice(["AA", "B6", "UA"], 60), seats=_random.integers(50, 300, 60), late=NUMBERS["x"] > 0
)
FEATURES = ["x", "y", "carrier", "seats"]
TARGET = (2 * NUMBERS["x"] - NUMBERS["y"] + 0.1 * _random.normal(size=60)).rename("target")
CODES = (TARGET > 0).astype(int).rename("code")
# Three classes, one of them with a space in its name.
LABELS = pd.Series(np.select([TARGET > 1, TARGET < -1], ["late", "early"], "on time"), name="label")
DAYS = pd.DataFrame({"ds": pd.date_range("2013-01-01", periods=60), "y": TARGET})
TEXTS = pd.DataFrame({"text": ["good flight", "bad late flight", "late", "a good good flight"]})
