"""The options that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

OptionalConf = Annotated[
    str | None,
    typer.Argument(
        metavar="CONF.yml", help="The job file; job.yml in the working directory if it is left out.", show_default=False
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Set a key of the job, such as output.mode=append.", show_default=False
    ),
]
Variables = Annotated[
    list[str] | None,
    typer.Option("--var", metavar="NAME=VALUE", help="Fill ${NAME} in the job file.", show_default=False),
]
Replay = Annotated[
    str | None,
    typer.Option("--replay", metavar="RUN_ID", help="Score that run's quarantined rows again, in place of the input."),
]
RunId = Annotated[str | None, typer.Option("--run-id", help="An id under which the run happens once.")]
Model = Annotated[str | None, typer.Option("--model", metavar="URI", help="Without a job file: the model.")]
Input = Annotated[
    str | None,
    typer.Option(
        "--input",
        metavar="LOCATION",
        help="Without a job file: what to score; a path if it has a / in it, else a table.",
    ),
]
Output = Annotated[str | None, typer.Option("--output", metavar="LOCATION", help="Without a job file: where to write.")]
Format = Annotated[
    str | None,
    typer.Option(
        "--format", help="Without a job file: delta, parquet, csv, json, orc, avro, binaryFile or payload (requests)."
    ),
]
Mode = Annotated[str | None, typer.Option("--mode", help="Without a job file: error, append or overwrite.")]
TrackingUri = Annotated[str | None, typer.Option("--tracking-uri", metavar="URI", help="The MLflow tracking server.")]
RefusalsAsTaskValues = Annotated[
    bool,
    typer.Option(
        "--refusals-as-task-values",
        help="In a task of a Databricks job: where a retry would end as this run did, set the task values and do not "
        "fail; see docs/databricks.md.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, and all else on stderr.")]
