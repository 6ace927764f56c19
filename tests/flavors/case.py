"""What a case is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Case:
    """A model of one flavor, logged in one way, with the rows that it scores.

    Attributes:
        flavor: What the flavor is called.
        logged: The model, and how it was logged.
        save: Trains it and saves it in a folder that does not exist yet; returns the model's folder, which may lie in
            there.
        data: The rows: a DataFrame, an array, or a dict of arrays.
        methods: What it can be asked beside ``predict``: names of methods, ``top_k`` among them.
        needs: Modules without which it can't be made.
        one_by_one: Whether ``predict`` is asked for each row alone, as it returns several in an order of its own.
    """

    flavor: str
    logged: str
    save: Callable[[str], str]
    data: pd.DataFrame | np.ndarray[Any, Any] | dict[str, np.ndarray[Any, Any]]
    methods: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    one_by_one: bool = False

    @property
    def name(self) -> str:
        return f"{self.flavor}: {self.logged}, {self.takes}"

    @property
    def takes(self) -> str:
        return "frame" if isinstance(self.data, pd.DataFrame) else "tensors"
