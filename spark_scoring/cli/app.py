"""The commands and their options."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from spark_scoring.cli import asking, commands, console, databricks, given_job
from spark_scoring.cli.history import Named
from spark_scoring.cli.options import (
    AsJson,
    Format,
    Input,
    Mode,
    Model,
    OptionalConf,
    Output,
    RefusalsAsTaskValues,
    Replay,
    RunId,
    Settings,
    TrackingUri,
    Variables,
)
from spark_scoring.cli.outcome import Request
from spark_scoring.cli.style import FORMATS, LEVELS, Style
from spark_scoring.errors import ConfigurationError
from spark_scoring.redaction import redact

PROGRAM = "spark-scoring"
_ALWAYS = "Before or after any command: --verbose, --quiet, --log-level, --log-format; see spark-scoring --help."

app = typer.Typer(
    name=PROGRAM,
    pretty_exceptions_enable=False,
    invoke_without_command=True,
    epilog="Exit codes: 0 done, 1 unexpected, 2 configuration, 3 contract, 4 model, 5 input, 6 rows failed, "
    "7 audit, 8 target, 130 interrupted, 143 terminated.",
)

environments = typer.Typer(no_args_is_help=True, help="A model's Python packages, for workers that have none.")
app.add_typer(environments, name="env")
jars = typer.Typer(no_args_is_help=True, help="The jars that a local session needs beside Spark's own.")
app.add_typer(jars, name="jars")
imports = typer.Typer(no_args_is_help=True, help="Job files from what other tools are configured with.")
app.add_typer(imports, name="import")


def _show_version(wanted: bool) -> None:
    if wanted:
        console.show(f"{PROGRAM} {version(PROGRAM)}")
        raise typer.Exit


@app.callback()
def _program(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Print the version.")
    ] = False,
    verbose: Annotated[
        bool,
        typer.Option("--verbose", "-v", help="Show what Spark, MLflow and the like say, too; after a command as well."),
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Show nothing but errors, and what --json prints.")
    ] = False,
    log_level: Annotated[
        str, typer.Option("--log-level", metavar="|".join(LEVELS), help="Which lines to show on the way.")
    ] = "info",
    log_format: Annotated[
        str, typer.Option("--log-format", metavar="|".join(FORMATS), help="As text, or each a JSON object.")
    ] = "text",
) -> None:
    """Score tables with MLflow models on Spark: checked before it runs, written to Delta exactly once."""
    # `main` has taken out the options that every command has; here they are for --help.
    if context.invoked_subcommand is None:
        console.show(context.get_help().rstrip())


@app.command(epilog=_ALWAYS)
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
    refusals_as_task_values: RefusalsAsTaskValues = False,
    as_json: AsJson = False,
) -> Request:
    """Score a table: run a job file, or --model, --input and --output."""
    if refusals_as_task_values:
        databricks.refuse_elsewhere()
    options = _options(model, input_, output, format_, mode, tracking_uri)
    job = given_job.read_job(conf, settings or (), variables or (), options)
    return Request(
        partial(commands.score, job, run_id, replay),
        {"run_id": redact(run_id) if run_id else None, "target": commands.target_of(job.output)["target"]},
        given_job.names_of_keys(options, settings or ()),
    )


@app.command(epilog=_ALWAYS)
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
    job = given_job.read_job(conf, settings or (), variables or (), options)
    names = given_job.names_of_keys(options, settings or ())
    return Request(partial(commands.check, job, sample), commands.target_of(job.output), names)


@app.command(epilog=_ALWAYS)
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
    names = given_job.names_of_keys({**table, "--tracking-uri": tracking_uri, "MODEL_URI": model_uri}, ())
    return Request(partial(commands.inspect, model_uri, tracking_uri, table), {"model": redact(model_uri)}, names)


@app.command(epilog=_ALWAYS)
def init(
    conf: Annotated[str, typer.Argument(metavar="[FILE]", help="The job file to write.")] = given_job.JOB_FILE,
    model: Annotated[str | None, typer.Option("--model", metavar="URI", help="The model.")] = None,
    input_: Annotated[
        str | None, typer.Option("--input", metavar="LOCATION", help="What to score: a path if it has a / in it.")
    ] = None,
    output: Annotated[str | None, typer.Option("--output", metavar="LOCATION", help="Where to write.")] = None,
    format_: Annotated[
        str | None, typer.Option("--format", help="The input's format; by its files' names if it is left out.")
    ] = None,
    mode: Annotated[str | None, typer.Option("--mode", help="error, append or overwrite.")] = None,
    key: Annotated[
        list[str] | None, typer.Option("--key", metavar="COLUMN", help="A column that tells rows apart; repeatable.")
    ] = None,
    tracking_uri: TrackingUri = None,
    notebook: Annotated[bool, typer.Option("--notebook", help="Write a notebook, too.")] = False,
    bundle: Annotated[bool, typer.Option("--bundle", help="Write a Databricks bundle, too.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Write over files that are there.")] = False,
    as_json: AsJson = False,
) -> Request:
    """Write a commented job file from a model and a table; on a terminal it asks for what is missing."""
    options = asking.answered(_options(model, input_, output, format_, mode, tracking_uri))
    starter = partial(commands.init, conf, options, key or ())
    names = given_job.names_of_keys(options, ())
    return Request(partial(starter, notebook=notebook, bundle=bundle, force=force), names=names)


@app.command(epilog=_ALWAYS)
def schema(as_json: AsJson = False) -> Request:
    """Print the job file's JSON schema, which editors complete and check job files by."""
    return Request(commands.schema)


@app.command(epilog=_ALWAYS)
def demo(as_json: AsJson = False) -> Request:
    """Train, register and score on real flights, in ./spark-scoring-demo/."""
    return Request(partial(commands.demo, Path("spark-scoring-demo")))


@app.command(epilog=_ALWAYS)
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
    job = given_job.read_job(conf, settings or (), variables or (), {}) if conf is not None else None
    return Request(partial(commands.publish, run_id, job), {"run_id": redact(run_id)})


@app.command(epilog=_ALWAYS)
def history(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[CONF.yml] [RUN_ID]",
            help="A job file, which exists or ends in .yml or .yaml; and a run's id, to show that run whole.",
            show_default=False,
        ),
    ] = None,
    settings: Settings = None,
    variables: Variables = None,
    runs: Annotated[
        str | None,
        typer.Option(
            "--runs", metavar="LOCATION", help="The runs table: a path if it has a / in it.", show_default=False
        ),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="How many runs at most.")] = 20,
    status: Annotated[
        str | None, typer.Option("--status", help="Only succeeded, empty, refused, failed or interrupted ones.")
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", metavar="MODEL", help="Only those of a model: flights, flights/3 or a URI.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="TIME", help="Only those since 2026-01-31, or in the last 7d or 12h."),
    ] = None,
    compare: Annotated[
        tuple[str, str] | None,
        typer.Option("--compare", metavar="RUN RUN", help="Two runs, or model versions, side by side."),
    ] = None,
    as_json: AsJson = False,
) -> Request:
    """List past runs, the newest first; or show one run whole, or two side by side."""
    named = Named.of(words or ())
    wanted = (status, model, since)
    if (named.run_id is not None or compare is not None) and any(wanted):
        raise ConfigurationError(
            "--status, --model and --since choose from the list of runs, and not from runs that are named",
            code="usage",
            remedy="leave them out, or the runs",
        )
    if named.run_id is not None and compare is not None:
        raise ConfigurationError(
            f"--compare takes two runs, and {redact(named.run_id)[:100]!r} is one more",
            code="usage",
            remedy="leave it out",
        )
    if runs is not None and named.conf is not None:
        raise ConfigurationError("--runs and a job file can't stand together", code="usage", remedy="name one of them")
    place, here = commands.runs_place(named.conf, runs, settings or (), variables or ())
    shown = partial(commands.history, place, runs, limit, wanted=wanted, here=here)
    return Request(partial(shown, run_id=named.run_id, compare=compare))


@app.command(epilog=_ALWAYS)
def submit(
    context: typer.Context,
    conf: OptionalConf = None,
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
) -> Request | Callable[[], int]:
    """Score a job file on a cluster, through spark-submit."""
    from spark_scoring.submit import refuse_lacking, run

    arguments = list(submit_args or ())
    if conf is not None and conf.startswith("-"):  # what stands behind -- where there is no CONF
        arguments.insert(0, conf)
        conf = None
    style: Style = context.obj or Style()
    words = [*(["--run-id", run_id] if run_id else []), *(["--json"] if as_json else []), *style.words]
    job = given_job.named_job_file(conf)
    command = commands.submit_command(job, settings or (), variables or (), words, arguments, environment)
    if dry_run:
        return Request(partial(commands.show_command, command))
    refuse_lacking(command)
    return partial(run, command)


@app.command(epilog=_ALWAYS)
def package(
    conf: OptionalConf = None,
    output: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            metavar="URI",
            help="A folder, or models:/NAME for a new version in the job's registry.",
            show_default=False,
        ),
    ] = None,
    settings: Settings = None,
    variables: Variables = None,
    as_json: AsJson = False,
) -> Request:
    """Log a job to MLflow as a model that answers requests: mlflow models serve gives what the job would write."""
    if output is None:
        raise ConfigurationError(
            "where is the package to go? -o is missing",
            code="usage",
            remedy="write -o FOLDER, such as -o ./packaged, or -o models:/NAME for a new version in the job's registry",
        )
    job = given_job.read_job(given_job.named_job_file(conf), settings or (), variables or (), {})
    return Request(partial(commands.package, job, output), {"model": redact(job.model.uri)})


@jars.command(epilog=_ALWAYS)
def fetch(
    into: Annotated[
        Path | None,
        typer.Option("--into", metavar="DIR", help="Copy them there too, for a machine without a network."),
    ] = None,
    as_json: AsJson = False,
) -> Request:
    """Bring Delta's jars from Maven beforehand; a local session does it by itself the first time."""
    return Request(partial(commands.fetch_jars, into))


@app.command(epilog=_ALWAYS)
def fail(
    message: Annotated[str, typer.Argument(metavar="MESSAGE", help="What was wrong.")],
    as_json: AsJson = False,
) -> Request:
    """Fail with a message: the task of a Databricks job behind one that scored with --refusals-as-task-values."""
    return Request(partial(commands.fail, message))


@environments.command(epilog=_ALWAYS)
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


@imports.command(epilog=_ALWAYS)
def azure(
    deployment: Annotated[
        Path, typer.Argument(metavar="DEPLOYMENT.yml", help="The YAML file of an Azure ML batch deployment (v2).")
    ],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--job", metavar="CONF.yml", help="The job file to write; shown if it is left out."),
    ] = None,
    input_: Annotated[
        str | None, typer.Option("--input", metavar="LOCATION", help="What to score; by default given for each run.")
    ] = None,
    target: Annotated[
        str | None, typer.Option("--output", metavar="LOCATION", help="Where to write; by default given for each run.")
    ] = None,
    format_: Annotated[
        str | None, typer.Option("--format", help="The input's format, if it is no Delta table.")
    ] = None,
    tracking_uri: TrackingUri = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a job file that is there.")] = False,
    as_json: AsJson = False,
) -> Request:
    """Convert a batch deployment of Azure ML to a job file, and list what became of each key; nothing is run."""
    options = {"--input": input_, "--output": target, "--format": format_, "--tracking-uri": tracking_uri}
    names = given_job.names_of_keys({name: value for name, value in options.items() if value}, ())
    return Request(partial(commands.import_azure, deployment, output, options, force=force), {}, names)


def _options(*values: str | None) -> dict[str, str | None]:
    names = ("--model", "--input", "--output", "--format", "--mode", "--tracking-uri")
    return dict(zip(names, values, strict=True))
