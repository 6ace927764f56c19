"""The commands and their options, and `main`, which runs one and says how it ended."""

from __future__ import annotations

import os
import shlex
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from functools import partial
from importlib.metadata import version
from itertools import takewhile
from pathlib import Path
from typing import Annotated

import typer

from spark_scoring.cli import commands, console, databricks
from spark_scoring.cli.outcome import Outcome, Request, failure
from spark_scoring.cli.signals import Signals, signals_raised
from spark_scoring.cli.strict_json import to_json
from spark_scoring.errors import ConfigurationError, ScoringError, drop_telling_causes
from spark_scoring.jobs.location import name_a_home
from spark_scoring.redaction import redact
from spark_scoring.spark.java import check_working_directory
from spark_scoring.spark.jvm import end_sessions, started_sessions
from spark_scoring.spark.packages import missing_package
from spark_scoring.spark.platform import is_databricks
from spark_scoring.spark.scratch import temporary_files_in_scratch_folder

_PROGRAM = "spark-scoring"
_DEBUG = "SPARK_SCORING_DEBUG"
_HOLD_ROWS = frozenset({"delta", "numpy", "pandas", "py4j", "pyarrow", "pyspark"})
# Click's error for a command line that is wrong. Newer typers bring a click of their own, so this is not click's name.
_USAGE_ERROR: type[Exception] = typer.BadParameter.__mro__[1]

app = typer.Typer(
    name=_PROGRAM,
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    epilog="Exit codes: 0 done, 1 unexpected, 2 configuration, 3 contract, 4 model, 5 input, 6 rows failed, "
    "7 audit, 8 target, 130 interrupted, 143 terminated.",
)

environments = typer.Typer(no_args_is_help=True, help="A model's Python packages, for workers that have none.")
app.add_typer(environments, name="env")

Conf = Annotated[str, typer.Argument(metavar="CONF.yml", help="The job file.")]
OptionalConf = Annotated[str | None, typer.Argument(metavar="CONF.yml", help="The job file.", show_default=False)]
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
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, and all else on stderr.")]


def _show_version(wanted: bool) -> None:
    if wanted:
        console.show(f"{_PROGRAM} {version(_PROGRAM)}")
        raise typer.Exit


@app.callback()
def _program(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Print the version.")
    ] = False,
) -> None:
    """Score tables with MLflow models on Spark: checked before it runs, written to Delta exactly once."""


@app.command()
def score(
    conf: OptionalConf = None,
    settings: Settings = None,
    variables: Variables = None,
    run_id: RunId = None,
    replay: Replay = None,
    model: Model = None,
    input_: Input = None,
    output: Output = None,
    format_: Format = None,
    mode: Mode = None,
    tracking_uri: TrackingUri = None,
    as_json: AsJson = False,
) -> Request:
    """Score a table: run a job file, or --model, --input and --output."""
    options = _options(model, input_, output, format_, mode, tracking_uri)
    job = commands.read_job(conf, settings or (), variables or (), options)
    return Request(
        partial(commands.score, job, run_id, replay),
        {"run_id": redact(run_id) if run_id else None, "target": commands.target_of(job.output)["target"]},
    )


@app.command()
def check(
    conf: OptionalConf = None,
    settings: Settings = None,
    variables: Variables = None,
    model: Model = None,
    input_: Input = None,
    output: Output = None,
    format_: Format = None,
    mode: Mode = None,
    tracking_uri: TrackingUri = None,
    sample: Annotated[
        int | None,
        typer.Option(
            "--sample", metavar="N", min=1, help="Also score N rows in memory and show them.", show_default=False
        ),
    ] = None,
    as_json: AsJson = False,
) -> Request:
    """Print the contract and the write plan of a job; nothing is written, and only --sample reads rows."""
    options = _options(model, input_, output, format_, mode, tracking_uri)
    job = commands.read_job(conf, settings or (), variables or (), options)
    return Request(partial(commands.check, job, sample), commands.target_of(job.output))


@app.command()
def inspect(
    model_uri: Annotated[str, typer.Argument(metavar="MODEL_URI", help="Any MLflow model URI, or a folder.")],
    tracking_uri: TrackingUri = None,
    input_: Annotated[
        str | None,
        typer.Option(
            "--input",
            metavar="LOCATION",
            help="For a model without a signature: a table or path to propose one from.",
            show_default=False,
        ),
    ] = None,
    format_: Annotated[
        str | None, typer.Option("--format", help="The format of --input, if it is no Delta table.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> Request:
    """Print what a model is: its version, signature, flavors, requirements and digest."""
    table = {"--input": input_, "--format": format_}
    return Request(partial(commands.inspect, model_uri, tracking_uri, table), {"model": redact(model_uri)})


@app.command()
def demo(as_json: AsJson = False) -> Request:
    """Train, register and score on real flights, in ./spark-scoring-demo/."""
    return Request(partial(commands.demo, Path("spark-scoring-demo")))


@app.command()
def publish(
    run_id: Annotated[str, typer.Argument(metavar="RUN_ID", help="The id of a run that was refused.")],
    conf: Annotated[
        str | None,
        typer.Argument(
            metavar="[CONF.yml]",
            help="Its job file, where the run was another user's or machine's.",
            show_default=False,
        ),
    ] = None,
    settings: Settings = None,
    variables: Variables = None,
    as_json: AsJson = False,
) -> Request:
    """Publish a staged run that its threshold or its audit refused."""
    job = commands.read_job(conf, settings or (), variables or (), {}) if conf is not None else None
    return Request(partial(commands.publish, run_id, job), {"run_id": redact(run_id)})


@app.command()
def history(
    conf: OptionalConf = None,
    settings: Settings = None,
    variables: Variables = None,
    runs: Annotated[
        str | None,
        typer.Option(
            "--runs", metavar="LOCATION", help="The runs table: a path if it has a / in it.", show_default=False
        ),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="How many runs at most.")] = 20,
    as_json: AsJson = False,
) -> Request:
    """List past runs, the newest first: those of a job file's runs table, or of the one used last."""
    named = conf is not None or settings or variables
    job = commands.read_job(conf, settings or (), variables or (), {}) if named else None
    return Request(partial(commands.history, job, runs, limit))


@app.command()
def submit(
    conf: Conf,
    submit_args: Annotated[
        list[str] | None,
        typer.Argument(metavar="[-- SPARK_SUBMIT_ARGS…]", help="Options of spark-submit.", show_default=False),
    ] = None,
    settings: Settings = None,
    variables: Variables = None,
    run_id: RunId = None,
    environment: Annotated[
        str | None,
        typer.Option(
            "--env", metavar="ARCHIVE", help="What the executors run in: made by env pack.", show_default=False
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the command, and do not run it.")] = False,
    as_json: AsJson = False,
) -> int | Callable[[], int]:
    """Score a job file on a cluster, through spark-submit."""
    from spark_scoring.submit import run

    words = [*(["--run-id", run_id] if run_id else []), *(["--json"] if as_json else [])]
    command = commands.submit_command(conf, settings or (), variables or (), words, submit_args or (), environment)
    if dry_run:
        console.show(shlex.join(command))
        return 0
    return partial(run, command)


@environments.command()
def pack(
    model_uri: Annotated[str, typer.Argument(metavar="MODEL_URI", help="Any MLflow model URI, or a folder.")],
    output: Annotated[str, typer.Option("-o", "--output", metavar="ARCHIVE", help="Where to, such as env.tar.gz.")],
    python: Annotated[
        str | None,
        typer.Option(
            "--python",
            metavar="VERSION|PATH",
            help="The executors' Python; by default one like this.",
            show_default=False,
        ),
    ] = None,
    tracking_uri: TrackingUri = None,
    as_json: AsJson = False,
) -> Request:
    """Pack exactly the packages that a model requires, for submit --env; its requirements are read, nothing is run."""
    return Request(partial(commands.pack, model_uri, output, python, tracking_uri), {"model": redact(model_uri)})


def _options(*values: str | None) -> dict[str, str | None]:
    names = ("--model", "--input", "--output", "--format", "--mode", "--tracking-uri")
    return dict(zip(names, values, strict=True))


def main() -> int:
    """Runs the command line in ``sys.argv``.

    Returns:
        The exit code; on Databricks only 0, since there a task fails by raising.

    Raises:
        ScoringError: On Databricks, where the exit code would not be 0.
    """
    name_a_home()
    words = sys.argv[1:]
    options = list(takewhile(lambda word: word != "--", words))
    command = next((word for word in options if not word.startswith("-")), "")
    console.make_streams_last()
    if is_databricks():
        outcome = _attempt(words, command, Signals())
        if isinstance(outcome, int):
            return outcome
        _show(outcome, "--json" in options)
        _tell_databricks(outcome)
        return outcome.exit_code
    console.quiet()
    sessions = started_sessions()
    with signals_raised() as signals:
        try:
            outcome = _attempt(words, command, signals)
        except KeyboardInterrupt as exc:  # one came while that dealt with the one before
            outcome = failure(command, _as_scoring_error(exc, command, signals), {})
        # Who stops a command once wants to know how it ended; who stops one that can't be shown, to be rid of it.
        signals.held = signals.first is not None
        if not isinstance(outcome, int):
            with suppress(KeyboardInterrupt):
                _show(outcome, "--json" in options)
                if outcome.error is not None:
                    console.say(f"{_PROGRAM}: {outcome.error}")
        signals.held = True
        end_sessions(but=sessions)
    return outcome if isinstance(outcome, int) else outcome.exit_code


def _show(outcome: Outcome, as_json: bool) -> None:
    """Shows a result; what is committed stays so, whatever goes wrong here."""
    try:
        text = to_json(outcome.data) if as_json else outcome.text
    except Exception as exc:
        console.say(f"the result can't be shown: {type(exc).__name__}")
        return
    if text:
        console.show(text)


# A number is an exit code: of --help, --version, and of submit, whose output is that of the program it ran.
def _attempt(words: Sequence[str], command: str, signals: Signals) -> Outcome | int:
    request: Request | Callable[[], int] | int = 0
    try:
        if not {"--help", "--version"} & set(words):
            check_working_directory()
        parsed: Request | Callable[[], int] | int | None = app(list(words), prog_name=_PROGRAM, standalone_mode=False)
        request = parsed or 0
        if isinstance(request, int):
            if signals.first is not None:  # typer has made an exit code of it
                raise KeyboardInterrupt
            return request
        if not isinstance(request, Request):
            return request()
        # On Databricks the process is not ours, and outlives the command.
        files = nullcontext() if is_databricks() else temporary_files_in_scratch_folder()
        with console.stdout_kept_for_the_result(), console.progress_on_stderr(), files:
            return request.run()
    except BaseException as exc:  # also a SystemExit, of a library or of the user's own code
        known = request.known if isinstance(request, Request) else {}
        return failure(command, _as_scoring_error(exc, command, signals), known)


def _as_scoring_error(exc: BaseException, command: str, signals: Signals) -> ScoringError:
    if isinstance(exc, ScoringError):
        drop_telling_causes(exc)
    if os.environ.get(_DEBUG):
        console.say("".join(traceback.format_exception(exc)).rstrip())
    ended = signals.error(exc)
    if ended is not None:
        return ended
    if isinstance(exc, ScoringError):
        return exc
    missing = missing_package(exc)
    if missing is not None:
        return missing
    if isinstance(exc, _USAGE_ERROR):
        known = {registered.callback.__name__ for registered in app.registered_commands if registered.callback}
        known |= {group.name or "" for group in app.registered_groups}
        words = [_PROGRAM, command, "--help"] if command in known else [_PROGRAM, "--help"]
        message = exc.format_message().rstrip(".") if command else "there is no command"  # type: ignore[attr-defined]
        return ConfigurationError(message, code="usage", remedy=f"see: {' '.join(words)}")
    # A library that has the rows at hand may quote one.
    quotes = type(exc).__module__.partition(".")[0] in _HOLD_ROWS
    first = str(exc).strip().partition("\n")[0][:300]
    reason = "" if quotes else f": {first}"
    return ScoringError(
        f"unexpected {type(exc).__name__}{reason}", remedy=f"set {_DEBUG}=1 to see where it came from, and report it"
    )


def _tell_databricks(outcome: Outcome) -> None:
    databricks.set_task_values(
        {
            "status": outcome.data.get("status"),
            "exit_code": outcome.exit_code,
            "run_id": outcome.data.get("run_id"),
        }
    )
    if outcome.error is not None:
        raise outcome.error
