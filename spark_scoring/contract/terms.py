"""What the job says about the contract."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from spark_scoring.contract.hints import UNHINTED, Hints
from spark_scoring.contract.matrix import Policy
from spark_scoring.contract.outputs import DeclaredOutputs
from spark_scoring.jobs.config import ScoringJob
from spark_scoring.worker.protocol import PREDICT, Call


@dataclass(frozen=True)
class Terms:
    """What the job says about the contract.

    Attributes:
        policy: How far a column's type may be from the signature's.
        forbid_nulls: Whether a null in a required column fails its row.
        columns: Table names by model name, where they differ.
        key: Columns kept in the output and withheld from the model, unless its signature asks for them.
        time_zone: In which TIMESTAMP values reach the model.
        params: Parameters for ``predict``.
        textual: Whether the table's strings come from a text file, so that the signature decides what they are.
        kept: Which input columns are written beside the prediction: ``all``, ``keys``, or their names.
        added: The columns that scoring adds, the prediction first.
        flatten: Whether several outputs become a column each, and not the fields of one struct.
        result: The outputs in place of the signature's, with what is wrong with them; or None.
        call: What is called with the rows.
        hints: What the model's type hints mean, which the signature says and no job.
    """

    policy: Policy = "safe"
    forbid_nulls: bool = False
    columns: Mapping[str, str] = field(default_factory=dict)
    key: Sequence[str] = ()
    time_zone: str = "UTC"
    params: Mapping[str, Any] = field(default_factory=dict)
    textual: bool = False
    kept: Literal["all", "keys"] | Sequence[str] = "all"
    added: Sequence[str] = ("prediction",)
    flatten: bool = False
    result: DeclaredOutputs | None = None
    call: Call = PREDICT
    hints: Hints = UNHINTED

    @classmethod
    def from_job(
        cls,
        job: ScoringJob,
        *,
        added: Sequence[str],
        textual: bool = False,
        places: Sequence[str] = (),
        result: DeclaredOutputs | None = None,
        call: Call = PREDICT,
    ) -> Terms:
        """Returns the terms that a job states; `places` are columns that the source adds, kept as the key is."""
        return cls(
            policy=job.contract.policy,
            forbid_nulls=job.contract.nulls == "forbid",
            columns=job.input.columns,
            key=(*job.input.key, *places),
            time_zone=job.input.time_zone,
            params=job.model.params,
            textual=textual,
            kept=job.output.columns if job.output else "all",
            added=added,
            flatten=job.output.flatten if job.output else False,
            result=result,
            call=call,
        )
