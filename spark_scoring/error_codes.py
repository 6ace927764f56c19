"""Every code that an error, a failed row or a verdict may carry: what it means, and what to do.

Codes are part of what other people's scripts rely on: none is ever renamed, or given to something else. The command
``make docs`` writes ``docs/errors.md`` from here, and a test compares this list with what the package raises.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from spark_scoring.errors import (
    AuditError,
    ConfigurationError,
    ContractError,
    InputError,
    Interrupted,
    ModelError,
    RowsFailedError,
    ScoringError,
    TargetError,
    Terminated,
)

Place = Literal["row", "verdict"]
ROW: Place = "row"
VERDICT: Place = "verdict"


@dataclass(frozen=True)
class Code:
    """One code.

    Attributes:
        code: The name.
        meaning: What was wrong, in a sentence; of a verdict that is no error, what it says.
        remedy: What to do, in a sentence; empty where nothing is to be done.
        kinds: The classes of the errors that carry it, whose exit codes the run ends with; `ROW` where it stands in
            the ``error`` column of a row, and `VERDICT` where a verdict of the contract carries it that is no error.
    """

    code: str
    meaning: str
    remedy: str
    kinds: tuple[type[ScoringError] | Place, ...]

    @property
    def exit_codes(self) -> tuple[int, ...]:
        """The exit codes of its classes, ascending."""
        return tuple(sorted(kind.exit_code for kind in self.kinds if not isinstance(kind, str)))


# One line each, in the order of the alphabet, so that two people who add one do not meet.
# fmt: off
CODES: tuple[Code, ...] = (
    Code("alias_not_found", "The registered model has no such alias.", "Set the alias in the registry, or name another one or a version.", (ModelError,)),
    Code("ambiguous_column", "The table has several columns of that name, and Spark can't tell them apart.", "Select one of them in `input.sql`, under a name of its own.", (ContractError,)),
    Code("ancient_datetime", "This Spark is set not to write dates before 1582 and times before 1900, and the result has one.", "Set `spark.sql.parquet.datetimeRebaseModeInWrite` to `CORRECTED`.", (TargetError,)),
    Code("any_from_payload", "The signature takes values of any type, so it does not say which column would hold a request's value.", "Say what it is in a signature file (`model.input_signature`), or score a table.", (ContractError,)),
    Code("audit_refused", "A figure of the result is out of the bounds that `audit` sets; nothing is published.", "Look at the figure; `spark-scoring publish RUN_ID` is for a person who decides otherwise.", (AuditError,)),
    Code("avro_missing", "This Spark session has no Avro, which is a module that Spark does not bring along.", "Give `--packages org.apache.spark:spark-avro_…` to spark-submit; the message names the version.", (InputError,)),
    Code("bad_archive_path", "The environment archive can't be written there.", "Give `-o` a file name that ends in `.tar.gz`, in a folder that you can write to.", (ConfigurationError,)),
    Code("bad_audit", "A check of `audit` can't be evaluated on this result.", "Mend the check, as the message says.", (ConfigurationError,)),
    Code("bad_deployment_name", "The name of a deployment is no name of a file.", "Write 1 to 100 letters, digits, `.`, `_` or `-`.", (ConfigurationError,)),
    Code("bad_environment", "The file is not there, or is no environment archive.", "Make one: `spark-scoring env pack MODEL_URI -o env.tar.gz`.", (ConfigurationError,)),
    Code("bad_file", "A file of the input can't be read: it is damaged, empty, missing, or of another format or schema.", "Mend or remove the file, or isolate such files with `errors.bad_files: quarantine`.", (InputError,)),
    Code("bad_output", "The model returned what its declared output can't hold.", "Log the model with a signature that says what it returns, or set `model.result_type`.", (ModelError, RowsFailedError, ROW)),
    Code("bad_override", "A key of `--set` goes below a key that holds a value.", "Name a key as in the job file, such as `--set output.mode=append`.", (ConfigurationError,)),
    Code("bad_run_id", "The run id is empty, too long, or holds invisible characters.", "Give a short id of visible characters; a variable that should hold it may not be set.", (ConfigurationError,)),
    Code("bad_script", "The scoring script can't be compiled, or has no `run(batch)`.", "Write `init()` and `run(batch)` into it.", (ConfigurationError,)),
    Code("bad_signature", "The signature file holds no signature.", "Write `inputs:` and `outputs:`, each a list such as `[{name: x, type: double}]`, or let check propose it.", (ConfigurationError,)),
    Code("bad_sql", "`input.sql` or `input.where` is no valid SQL on this input.", "Mend it, as Spark's message says.", (InputError,)),
    Code("bad_submit_option", "What stands behind `--`, or goes with `--env`, is not what spark-submit takes.", "Write only options of spark-submit behind `--`, such as `--master spark://host:7077`.", (ConfigurationError,)),
    Code("bad_value", "A key of the job has a value that is not valid there.", "Write one of the values that the message names.", (ConfigurationError,)),
    Code("bad_vars", "`vars` in the job file is no mapping.", "Write `vars: {name: value}`.", (ConfigurationError,)),
    Code("cast_failed", "A value can't be converted to the type that the model's signature asks for.", "Mend or filter the values (`input.where`); how a CSV's numbers and times are written is `input.options`' to say (`decimal`, `thousands`, `dateFormat`, `timestampFormat`).", (RowsFailedError, ROW)),
    Code("cast_lossy", "A value does not survive the cast to the type that the signature asks for.", "Cast the column in `input.sql`, or use `contract.policy: lenient`.", (RowsFailedError, ROW)),
    Code("change_feed_gone", "The input's change feed no longer reaches back to the version that the target covers.", "Score everything once in mode overwrite without `input.incremental`; keep the feed longer than the time between two runs.", (InputError,)),
    Code("change_feed_off", "The input has no change data feed, so what is new in it is not known.", "Set `delta.enableChangeDataFeed = true` on it, then score everything once in mode overwrite without `input.incremental`.", (InputError,)),
    Code("checked_cast", "The column is cast, and each value is checked to survive it.", "", (VERDICT,)),
    Code("classes_unknown", "The method returns a column for each class, and neither the model nor the job names the classes.", "Write `model.result_type: struct<CLASS: double, …>`, with the classes in the model's order.", (ConfigurationError, ModelError)),
    Code("column_clash", "The input has a column of a name that scoring adds.", "Name `output.prediction` otherwise, rename the column in `input.sql`, or leave it out with `output.columns`.", (ContractError,)),
    Code("commit_unknown", "Spark failed while the target was written, and the target can't be looked at.", "Run it again with the same run id: rows that are there are not written twice.", (TargetError,)),
    Code("coverage_unknown", "The target holds rows, and its log does not say which version of the input they cover.", "Score everything once in mode overwrite without `input.incremental`, or use mode merge, or write to a new target.", (TargetError,)),
    Code("delimiter", "A delimited file has one column, whose name holds what looks like another delimiter.", "Name it in `input.options: {delimiter: …}`.", (InputError,)),
    Code("demo_folder_taken", "The demo's folder exists, and the demo did not make it.", "Move it away, or run the demo in another directory.", (ConfigurationError,)),
    Code("deploy_mode", "The driver can't run inside the cluster: the job file and this package are here.", "Leave `--deploy-mode cluster` out; to have the driver there, run the command on one of its machines or in a pod.", (ConfigurationError,)),
    Code("deployment_exists", "There is a deployment of that name already.", "Change it with `mlflow deployments update`, or take another name.", (ConfigurationError,)),
    Code("deployment_not_found", "There is no deployment of that name in the folder that the target names.", "See `mlflow deployments list -t spark-scoring`; another folder is `-t spark-scoring:FOLDER`.", (ConfigurationError,)),
    Code("digest_mismatch", "The model's files, or the script, are not the ones that were pinned.", "Find out who changed them; if the change is right, put the new digest into the job.", (ModelError,)),
    Code("duplicate_column", "The table has several columns of that name, and a table can hold only one.", "Leave them out with `output.columns`, or rename one in `input.sql`.", (ContractError,)),
    Code("duplicate_field", "Two fields of a struct have names that differ in the case of letters alone, of which Delta holds only one.", "Rename one in `input.sql`, or leave the column out with `output.columns`.", (TargetError,)),
    Code("duplicate_input", "The signature has inputs whose names are the same as text, such as 0 and \"0\", or that would share a column, such as a and A.", "Log the model again with names that differ, or say in `input.columns` which column each gets.", (ContractError,)),
    Code("duplicate_key", "A key stands twice in the same place of a YAML file.", "Keep one of them.", (ConfigurationError,)),
    Code("duplicate_output", "The model has two outputs whose names differ in the case of letters alone.", "For classes use `model.top_k`, or `model.result_type: array<double>`.", (ContractError,)),
    Code("env_manager_missing", "The program behind `model.env_manager` is not on this machine, or MLflow is too old for it.", "Install it here and on the workers, or pack the environment once: `spark-scoring env pack`.", (ConfigurationError,)),
    Code("env_manager_on_connect", "MLflow makes no environment over Spark Connect, but on Databricks.", "Install what the model requires on the server, with `model.env_manager: local`.", (ConfigurationError,)),
    Code("env_manager_without_gpus", "The session assigns GPUs to tasks, and an environment manager's process does not learn which.", "Pack the environment: `spark-scoring env pack`, `submit --env`, with `model.env_manager: local`.", (ConfigurationError,)),
    Code("environment_not_restored", "`model.env_manager` could not restore the model's environment.", "See what the program printed; it needs the model's Python and a package index.", (ModelError,)),
    Code("every_row_failed", "No row of the input could be scored; nothing is published.", "Look at the errors in the staging table that the message names.", (RowsFailedError,)),
    Code("extra_column", "The model does not read this column.", "", (VERDICT,)),
    Code("file_exists", "A command would write over a file that is there.", "Name another one; for a job file, `--force` does, too.", (ConfigurationError,)),
    Code("file_not_written", "A command can't write to that place.", "Name a place that this user can write to.", (ConfigurationError,)),
    Code("fixed_output_length", "An output tensor has a fixed first dimension, so it does not say what a row's value is.", "Set `model.result_type`, or log the model with an output of shape `(-1, …)`.", (ContractError,)),
    Code("folder_type", "`input.options.partitionTypes` names a type that a folder's name can't have, or a folder that is not of it.", "Write one of the types that the message names, or leave the folder out.", (InputError,)),
    Code("import_refused", "The document is no batch deployment of a model, or has a key or a value that those do not have.", "The message names the line and what would be valid.", (ConfigurationError,)),
    Code("increment_taken", "Another run has scored what is new in the input meanwhile.", "Run it again: it scores what is new since then. Nothing was written twice.", (TargetError,)),
    Code("input_not_found", "The input's table, view or path does not exist.", "Check the name; write a table as `catalog.schema.table`, and use `input.path` for a folder.", (InputError,)),
    Code("input_not_readable", "The input exists, and can't be read.", "Check the rights on it, and that this Spark knows its kind of storage.", (InputError,)),
    Code("input_replaced", "The input is another table than the one that the target covers: it was dropped and made again.", "Score everything once in mode overwrite without `input.incremental`.", (InputError,)),
    Code("interrupted", "Somebody pressed Ctrl-C.", "Run it again; what was not committed is not in the target.", (Interrupted,)),
    Code("invalid_value", "A value, or a type, is not what its column or key takes.", "Write one of the kind that the message names.", (ConfigurationError,)),
    Code("jars_differ", "`SPARK_SCORING_JARS` names a Delta for another Spark than the pyspark that is installed.", "Fetch them with the same pyspark: `spark-scoring jars fetch --into DIR`.", (ConfigurationError,)),
    Code("jars_not_published", "Maven has no such version of a jar.", "`pip install \"spark-scoring[local]\"` brings a Spark and a Delta whose jars there are.", (ConfigurationError,)),
    Code("jars_not_written", "The folder of `jars fetch --into` can't be written to.", "Name a folder that this user can write to.", (ConfigurationError,)),
    Code("jars_unreachable", "The jars of Delta are not on this machine, and Maven can't be reached.", "`spark-scoring jars fetch --into DIR` where there is a network, and `SPARK_SCORING_JARS=DIR` here; or name the proxy: `HTTPS_PROXY`.", (ConfigurationError,)),
    Code("java_too_old", "This Spark needs a newer Java.", "Install a JDK 17 or 21, and point `JAVA_HOME` to it.", (ConfigurationError,)),
    Code("job_file_not_readable", "The job file does not exist, or can't be read.", "Name a YAML job file; `spark-scoring demo` writes one to start from.", (ConfigurationError,)),
    Code("key", "The column is a key: withheld from the model, and kept in the output.", "", (VERDICT,)),
    Code("log_store_not_safe", "The target is on S3, where Delta's own log store does not see the commits of other drivers, and an increment is to be taken once.", "Name a log store that sees them, or say that there is one driver: `spark.delta.logStore.s3a.impl`; see stores.md.", (TargetError,)),
    Code("lossy_setting", "The session is set to leave out rows or files that it can't read, without a word.", "Set the named setting to false.", (InputError,)),
    Code("malformed_payload", "A file of requests, or a request to a packaged job, holds something that is no request of this model; in a packaged job's answer, one row of it.", "Mend the request at the named place, or isolate such files with `errors.bad_files: quarantine`.", (InputError, ROW)),
    Code("merge_key_duplicate", "Rows to merge have the same key.", "Filter them with `input.where`, or name keys that identify a row. Nothing was written.", (TargetError,)),
    Code("merge_key_null", "Rows to merge have a NULL in their key.", "Filter them with `input.where`, or name keys that identify a row. Nothing was written.", (TargetError,)),
    Code("missing_column", "The table has no column of that name.", "Map it with `input.columns: {MODEL_NAME: TABLE_COLUMN}`, or correct `output.columns`.", (ContractError,)),
    Code("missing_key", "The job lacks a key that it needs, or `input.key` names a column that the table lacks.", "Add the key, or correct `input.key`.", (ConfigurationError, ContractError)),
    Code("mlflow_too_old", "The URI is one of MLflow 3's logged models, and an older MLflow is installed.", "`pip install \"mlflow>=3\"`, or name the model by its registered name or its run.", (ModelError,)),
    Code("model_not_allowed", "The model is not among those that `model.allow` names.", "Score with an allowed model, or have `model.allow` extended.", (ModelError,)),
    Code("model_not_found", "There is no MLflow model at that URI.", "Check the URI, and that `model.tracking_uri` is the server on which the model was logged.", (ModelError,)),
    Code("model_not_loadable", "The model's files can't be fetched or loaded.", "Make its requirements available (see: `spark-scoring inspect`), and its files readable, here and on the workers.", (ModelError,)),
    Code("model_raised", "The model raised an exception for a row; a pipeline also for the columns that it is given.", "The message names the exception and its place in the model; `input.key` names the row, and `errors.detail: full` adds the exception's text; with `errors.threshold` such rows fail alone.", (ModelError, RowsFailedError, ROW)),
    Code("model_timeout", "The model did not answer within `model.timeout` seconds.", "Raise `model.timeout`, or lower `model.batch_size`; with `errors.threshold` such rows fail alone; the message names the place in the model where it was.", (RowsFailedError, ROW)),
    Code("more_problems", "The job has more problems than are listed.", "Mend those above first.", (ConfigurationError,)),
    Code("no_container_image", "Executors on Kubernetes are pods of an image, and no image is named.", "Name one: `--conf spark.kubernetes.container.image=REGISTRY/NAME:TAG`, with the cluster's Spark, and Python with what the model requires.", (ConfigurationError,)),
    Code("no_dataframe", "The rows that a Python program hands over are no DataFrame of Spark's.", "Make one: `spark.createDataFrame(df, schema)`.", (ConfigurationError,)),
    Code("no_delta", "delta-spark is not installed here.", "`pip install \"spark-scoring[local]\"`.", (ConfigurationError,)),
    Code("no_demo_packages", "Packages that the demo needs are not installed here.", "`pip install \"spark-scoring[demo]\"`.", (ConfigurationError,)),
    Code("no_hadoop_conf", "YARN is found by Hadoop's own files, and nobody says where they are, or there is no yarn-site.xml.", "`export HADOOP_CONF_DIR=FOLDER`, with the cluster's core-site.xml, hdfs-site.xml and yarn-site.xml.", (ConfigurationError,)),
    Code("no_header", "No delimited file of the input holds anything, not even a header.", "Check `input.path`.", (InputError,)),
    Code("no_installer", "There is neither pip nor uv here to install packages with.", "`python -m ensurepip`, or put uv on the PATH.", (ConfigurationError,)),
    Code("no_jars", "`SPARK_SCORING_JARS` names no jar, or none with Delta.", "Name the jars, or their folder, as `spark-scoring jars fetch --into DIR` fills one.", (ConfigurationError,)),
    Code("no_java", "Spark needs Java, and none was found, or it does not run.", "Install a JDK 17 or 21, and point `JAVA_HOME` to it.", (ConfigurationError,)),
    Code("no_jvm", "Spark's JVM ended while it started.", "See what it said; it needs memory (`SPARK_DRIVER_MEMORY`), and its packages the first time.", (ConfigurationError,)),
    Code("no_output_schema", "The model's signature has no output schema, so the prediction's type is unknown.", "Set `model.result_type`, or log the model again with `infer_signature(X, model.predict(X))`.", (ContractError,)),
    Code("no_package", "A Python package that the command needs is not installed here, or too old.", "Install it; the message has the line to type.", (ConfigurationError,)),
    Code("no_place_beside", "The target is all of its storage, so there is no place beside it for staged rows or the runs table.", "Name one: `staging.location` and `record.table`.", (ConfigurationError,)),
    Code("no_pyfunc_flavor", "The model has no python_function flavor, so MLflow can't score with it.", "Log it with a flavor that supports pyfunc.", (ModelError,)),
    Code("no_pyspark", "pyspark is not installed here.", "`pip install \"spark-scoring[local]\"`, or run this on a Spark cluster.", (ConfigurationError,)),
    Code("no_python", "The Python for which an environment shall be packed is not here.", "Give `--python` a version whose interpreter is on the PATH, or an interpreter's path.", (ConfigurationError,)),
    Code("no_quarantine", "`--replay` has no quarantine to read.", "Name the job file of the run, whose `errors.quarantine` says where its failed rows are.", (ConfigurationError,)),
    Code("no_requirements", "The model has no requirements.txt, so it is not known which packages it needs.", "Log it with `pip_requirements`, or use `mlflow.models.update_model_requirements`.", (ModelError,)),
    Code("no_runs_table", "No runs table is known here.", "Name it with `--runs`, name a job file, or set `SPARK_SCORING_RUNS`.", (ConfigurationError,)),
    Code("no_signature", "The model was logged without a signature, so nothing can be checked.", "Name a file in `model.input_signature` (`spark-scoring check` proposes one), or log the model again with a signature.", (ContractError,)),
    Code("no_spark_submit", "There is no spark-submit: neither in pyspark, nor in `SPARK_HOME`, nor on the PATH.", "`pip install \"spark-scoring[local]\"` in your cluster's version, or point `SPARK_HOME` to a Spark.", (ConfigurationError,)),
    Code("no_temporary_folder", "There is no place for temporary files.", "Make room in the temporary folder, or point `TMPDIR` to one that you can write to.", (ConfigurationError,)),
    Code("no_user_name", "Spark needs the name of its user, and the user id has no entry in /etc/passwd.", "Add an entry when the container starts, as Spark's own images do, or run as a user that has one.", (ConfigurationError,)),
    Code("no_working_directory", "The working directory does not exist any more, or can't be read.", "Change to a folder that is there, and run it again.", (ConfigurationError,)),
    Code("not_a_delta_table", "What is asked needs a Delta table, and this is none.", "Name the format of the files in `input.format`, or leave out what needs versions.", (InputError,)),
    Code("not_a_job_file", "The YAML file holds no mapping, so it is no job file.", "Start it with `model:`, `input:` and `output:`.", (ConfigurationError,)),
    Code("not_a_runs_table", "The table is no table of runs.", "Name the table that `record.table` names, or that a run's target has beside it.", (InputError,)),
    Code("not_packageable", "The job's model can't answer requests: it is a Spark ML pipeline, or takes objects by its own type hints.", "Score it as a batch job; for requests, serve the model itself.", (ConfigurationError,)),
    Code("not_reconciled", "Another number of rows was written than was read.", "Do not use that version of the target; restore the one before it, and report this.", (ScoringError,)),
    Code("not_yaml", "The file is not YAML, or holds too much.", "Mind the indentation, and quote values that hold `: ` or look like a date.", (ConfigurationError,)),
    Code("null_in_required", "A value is null where pyfunc refuses it, or where `contract.nulls: forbid` does.", "Fill or filter the nulls (`input.where`).", (RowsFailedError, ROW)),
    Code("optional_absent", "The column is not in the table, and the model does not need it.", "", (VERDICT,)),
    Code("out_of_memory", "The model ran out of memory for this row alone.", "Give the workers more memory (`spark.executor.memoryOverhead`).", (RowsFailedError, ROW)),
    Code("package_missing", "The workers' Python lacks a package.", "Install what the model requires on the workers, or use `spark-scoring env pack` and `submit --env`.", (ModelError,)),
    Code("param", "The parameter is handed to the model as given.", "", (VERDICT,)),
    Code("param_default", "The parameter is not given, and keeps the signature's default.", "", (VERDICT,)),
    Code("param_type", "The value of a parameter is not of the type that the signature says.", "Write a value of that type into `model.params`.", (ContractError,)),
    Code("params_differ", "A request has parameters other than the job's.", "Score it in a job with those `model.params`, or isolate such files with `errors.bad_files: quarantine`.", (InputError,)),
    Code("partition_value", "A value of a partition column would not come back from the target: Delta stores an empty text and `__HIVE_DEFAULT_PARTITION__` as NULL, folders' names have limits, and a clock that is set back shows two timestamps alike.", "Write another text, or NULL, in `input.sql`, or leave such rows out with `input.where`; for timestamps set `spark.sql.session.timeZone` to UTC.", (TargetError,)),
    Code("places_overlap", "Two places of the job, at least one of which is written, are the same, or one lies inside the other.", "Give each a place of its own. Nothing was written.", (ConfigurationError, TargetError)),
    Code("python_differs", "The packed environment is for another Python than the driver's, and Spark wants one for both.", "Pack it with `--python` of the driver's version, or run the command with the archive's.", (ConfigurationError,)),
    Code("refused_before", "A task of the job before this one was refused; the message is its own.", "Mend what the message says, and run the job again.", (ScoringError,)),
    Code("registry_denied", "The model registry refused the user name, the password or the token, or lets this user not read the model.", "Check the credentials that MLflow takes: `MLFLOW_TRACKING_USERNAME` and `MLFLOW_TRACKING_PASSWORD`, or `MLFLOW_TRACKING_TOKEN`.", (ModelError,)),
    Code("registry_tls", "No TLS connection to the model registry, or to the store of its files, can be made, or its certificate is not trusted.", "Write `http://` for a server without TLS; name the certificate in `MLFLOW_TRACKING_SERVER_CERT_PATH` or `REQUESTS_CA_BUNDLE`.", (ModelError,)),
    Code("registry_unreachable", "The model registry, or the store of its files, did not answer.", "Check `model.tracking_uri` and `model.registry_uri`, and this machine's credentials.", (ModelError,)),
    Code("requirements_differ", "The packages here are not those that the model requires.", "Install them, or score in the model's own environment; `model.requirements: warn` scores all the same.", (ModelError,)),
    Code("requirements_not_enough", "With the model's requirements alone a worker can't start.", "Correct them with `mlflow.models.update_model_requirements`.", (ModelError,)),
    Code("requirements_not_installable", "The model's requirements can't be installed.", "Check that your package index is reachable and has them for this Python.", (ModelError,)),
    Code("result_unknown", "Only the model's author knows what this method returns.", "Set `model.result_type`.", (ModelError,)),
    Code("rows_changed", "Rows of the input were changed or deleted since the last run, and mode append only adds.", "Use `output.mode: merge` with `merge_keys`, or score everything once in mode overwrite without `input.incremental`.", (InputError,)),
    Code("rows_outside_replace_where", "There are rows that `output.replace_where` does not name.", "Filter them with `input.where`, or correct `output.replace_where`.", (TargetError,)),
    Code("run_id_ambiguous", "Several jobs have a run of that id, and it is not known which is meant.", "Name the run's job file; to replay, score the quarantine's rows with a job whose `input.where` names them.", (ConfigurationError, InputError)),
    Code("run_id_taken", "The run id belongs to another job.", "Give this job a run id of its own.", (ConfigurationError,)),
    Code("run_not_found", "There is no such run, or nothing of it is left.", "Check the id and the job file; staged rows are kept for `staging.keep`.", (ConfigurationError, InputError)),
    Code("runs_table_not_readable", "The runs table can't be read.", "Name the table that `record.table` names, or that a run's target has beside it.", (InputError,)),
    Code("same_type", "The column reaches the model as it is.", "", (VERDICT,)),
    Code("schema_evolution_refused", "MERGE can't add columns on this platform.", "Add the columns with `ALTER TABLE`, or run it on Spark 4.", (TargetError,)),
    Code("script_failed", "The scoring script failed to start on a worker.", "Mend the script at that line, or make what it needs available on the workers.", (ModelError,)),
    Code("script_not_readable", "The scoring script does not exist, or can't be read.", "Check `model.script`; a relative path starts at the job file's folder.", (ConfigurationError,)),
    Code("several_targets", "The model predicts several targets at once, each with classes of its own.", "Score with a PythonModel that returns what you need of each target.", (ModelError,)),
    Code("shape", "A value has another shape than the tensor that the signature declares.", "Mend or filter such rows (`input.where`).", (RowsFailedError, ROW)),
    Code("signature_exists", "The model has a signature of its own, which MLflow enforces whatever `model.input_signature` says.", "Remove `model.input_signature`; for another output type set `model.result_type`.", (ConfigurationError,)),
    Code("signature_not_readable", "The signature file does not exist, or can't be read.", "Check `model.input_signature` and `model.result_type`.", (ConfigurationError,)),
    Code("spark_failed", "Spark failed for a reason that this package does not know.", "See Spark's log for the task that failed. Nothing was written.", (ScoringError,)),
    Code("spark_model_on_connect", "MLflow can't load a Spark ML pipeline over Spark Connect.", "Run the job with `spark-scoring submit`, or in a session of the cluster itself.", (ModelError,)),
    Code("spark_unreachable", "Nobody answers at the address of Spark Connect's server.", "Start the server, or mend `SPARK_REMOTE`.", (ConfigurationError,)),
    Code("sql_failed", "The job's own SQL failed on a row: a value that can't be cast, a division by zero, `assert_true`.", "Mend the key that the message names, such as with `try_cast`, or filter such rows before. `errors.detail: full` adds Spark's own text, which may hold values of rows.", (InputError,)),
    Code("staging_gone", "The staging table of the run does not exist any more.", "Run it again with the same run id; nothing was published twice.", (ScoringError,)),
    Code("staging_is_link", "The folder in which rows would wait is a link to another place.", "Remove the link, or name the place itself: `staging.location`.", (TargetError,)),
    Code("storage_failed", "The storage did not take the result: it is full, or this user may not write there.", "Make room, or grant the right, and run it again with the same run id.", (TargetError,)),
    Code("store_client_missing", "The registry, or the store that has the model's files, needs a Python package that is not installed, or another version of it.", "Install it, such as `pip install boto3` for `s3://`.", (ModelError,)),
    Code("store_denied", "The store that has the model's files refused this user, or has no keys to go by.", "Set what its client takes, such as `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`.", (ModelError,)),
    Code("streaming_input", "The rows are a stream, and a run scores rows that end.", "Score its micro-batches with `foreachBatch`, or the stream itself with `load_scorer(…).transform`: see streaming.md.", (ConfigurationError,)),
    Code("submit_failed", "spark-submit ended before the driver gave a result; the exit code is its own.", "See what it said; what was not committed is not in the target.", (ScoringError,)),
    Code("target_append_only", "The target is append-only, and the mode would change its rows.", "Use `output.mode: append`.", (TargetError,)),
    Code("target_char_key", "A merge key, or a column of `replace_where`, is a CHAR in the target, which Spark pads with blanks.", "Name another key, or write to a new target.", (TargetError,)),
    Code("target_column_extra", "The target has a column that the result lacks.", "Add it to `output.columns`, or write to a new target; in mode overwrite `output.evolve_schema: true`; `output.flatten` where the message says so.", (TargetError,)),
    Code("target_column_missing", "The target lacks a column of the result.", "`output.evolve_schema: true` adds it, and `output.columns` leaves it out; `output.flatten` where the message says so.", (TargetError,)),
    Code("target_conflict", "Other writers changed the target while this run wrote to it, each time that it tried.", "Run it again. Nothing was written.", (TargetError,)),
    Code("target_exists", "The target exists, and the mode is `error`.", "Choose another target, or another `output.mode`.", (TargetError,)),
    Code("target_identity", "The target counts a column itself (GENERATED ALWAYS AS IDENTITY), and the result has a value for it.", "Leave the column out with `output.columns`.", (TargetError,)),
    Code("target_key_duplicate", "Rows of the target that would be updated have the same key.", "Remove the double rows from the target, or name keys that identify a row.", (TargetError,)),
    Code("target_layout_differs", "The target is partitioned or clustered otherwise than the job says.", "Leave `partition_by` or `cluster_by` out, or write to a new target.", (TargetError,)),
    Code("target_name", "The table's name has a character that Spark's own catalog does not take.", "Name it with letters from a to z, digits and `_`, or name a path.", (TargetError,)),
    Code("target_not_delta", "The target exists and is not a Delta table, lies inside of one, or its catalog holds none.", "Choose a new target, in a catalog that holds Delta tables.", (TargetError,)),
    Code("target_not_mapped", "A new column's name has a character that the target takes only with column mapping.", "Turn on column mapping, as the message says, or rename the column.", (TargetError,)),
    Code("target_not_null", "The target takes no nulls in a column in which the result may hold some.", "`ALTER TABLE … ALTER COLUMN … DROP NOT NULL`, or write to a new target; in mode overwrite `output.evolve_schema: true`.", (TargetError,)),
    Code("target_not_readable", "The target can't be looked at.", "Check the name, the rights on it, and that Spark knows its kind of storage.", (TargetError,)),
    Code("target_not_shared", "The target is on the driver's own disk, and the cluster's executors do not see it.", "Write to `hdfs://`, `s3a://` or `abfss://`, or to a folder that every node mounts.", (TargetError,)),
    Code("target_refused", "The target did not take the result.", "Mend the target as the message says, and run it again.", (TargetError,)),
    Code("target_schema_missing", "The target's catalog or its schema does not exist.", "`CREATE SCHEMA`, or name another one; a catalog is registered in Spark's settings.", (TargetError,)),
    Code("target_type_differs", "A column has another type in the target than in the result.", "Write to a new target, or cast the column in `input.sql`; in mode overwrite `output.evolve_schema: true`.", (TargetError,)),
    Code("terminated", "Somebody sent SIGTERM, or the terminal closed.", "Run it again; what was not committed is not in the target.", (Terminated,)),
    Code("threshold_exceeded", "More rows failed than `errors.threshold` allows; nothing is published.", "Look at the errors in the staging table that the message names; raise the threshold if that many may fail, or publish the others: `spark-scoring publish RUN_ID`.", (RowsFailedError,)),
    Code("try_cast", "The column is cast by `try_cast`; a value that can't be converted fails its row.", "", (VERDICT,)),
    Code("type_mismatch", "The column's type does not fit the signature under this policy.", "Cast it in `input.sql`, or choose the policy that the verdict names.", (ContractError,)),
    Code("types_differ", "A column has types in several files that no type holds without changing a value.", "Write the files with one type, or leave the column out with `output.columns`.", (InputError,)),
    Code("unexpected", "Something that this package does not know how to explain.", "`SPARK_SCORING_DEBUG=1` shows where it came from; please report it.", (ScoringError,)),
    Code("unknown_class", "The model has no such class.", "Name its classes in `model.result_type`, or leave that out.", (ModelError,)),
    Code("unknown_column", "`output` names a column that the result does not have, or `columnTypes` one that the files do not have.", "Name a column that `output.columns` keeps, or one of the files.", (ConfigurationError, InputError, TargetError)),
    Code("unknown_folder", "`input.options.partitionTypes` names a folder that the input does not have.", "Remove it, or name the folder above it as `input.path`.", (InputError,)),
    Code("unknown_key", "The job file has a key that does not exist.", "Correct it as the message says, or remove it.", (ConfigurationError,)),
    Code("unknown_model_column", "`input.columns` maps a name that the signature does not have.", "Correct it, or remove it.", (ContractError,)),
    Code("unknown_model_config", "`model.model_config` names a value that the model was not logged with.", "Correct or remove it, or log the model with `model_config=…`.", (ConfigurationError,)),
    Code("unknown_param", "The model, or its method, takes no such parameter.", "Remove it from `model.params`, or correct its name.", (ConfigurationError, ContractError, ModelError)),
    Code("unknown_variable", "`--var` names a variable that the job file does not declare.", "Declare it in the file: `vars: {NAME: null}`.", (ConfigurationError,)),
    Code("unnamed_class", "The model has a class whose name no column can have.", "Use `model.top_k`, or `model.result_type: array<double>`.", (ContractError,)),
    Code("unnamed_input", "The signature does not name its input, so it can't be bound by name.", "Map it by position: `input.columns: {\"0\": COLUMN}`; make a value of its type in `input.sql`; log a Spark ML pipeline with named columns.", (ContractError, ModelError)),
    Code("unsafe_name", "The name holds `${…}`, which Spark would take for one of its own variables.", "Give the table, folder or column a name without it.", (ConfigurationError,)),
    Code("unsafe_variable", "The value of a variable may not stand in SQL.", "Inside SQL a variable is a number, a word, a date or a time; write the rest in the job file.", (ConfigurationError,)),
    Code("unset_variable", "The job uses a variable that has no value.", "Give it: `--var NAME=VALUE`, or under `vars:` in the file.", (ConfigurationError,)),
    Code("unsupported_layout", "No Delta table can be partitioned or clustered so.", "Name other columns in `output.partition_by` or `output.cluster_by`, as the message says.", (TargetError,)),
    Code("unsupported_method", "The model has no such method, or gives no way to it.", "Write one of those that the message names into `model.method`.", (ModelError,)),
    Code("unsupported_model", "It is a model of a kind that can't be scored here.", "Log it as a PythonModel that calls it.", (ModelError,)),
    Code("unsupported_output", "No column can hold an output of that type.", "Log the model with outputs of columns, arrays, objects or maps of known types, or set `model.result_type`.", (ContractError,)),
    Code("unsupported_type", "The result has a column of a type that no Delta table stores.", "Cast it in `input.sql`, or leave it out with `output.columns`.", (TargetError,)),
    Code("usage", "The command line does not go together.", "See the command's `--help`.", (ConfigurationError,)),
    Code("variable_shape", "The signature has a tensor of variable shape, and rows can only be stacked to a fixed one.", "Log the model with a signature of a fixed shape, such as `(-1, 28, 28)`.", (ContractError,)),
    Code("version_missing", "The URI names a model but no version of it.", "Write `models:/NAME/VERSION` or `models:/NAME@ALIAS`.", (ModelError,)),
    Code("version_not_found", "The registry has no such version of the model.", "Write `models:/NAME/VERSION` or `models:/NAME@ALIAS`.", (ModelError,)),
    Code("version_not_readable", "The input has no such version to read any more.", "See `DESCRIBE HISTORY` for the versions that are left.", (InputError,)),
    Code("versions_differ", "The Delta that is installed, or that the session has, is for another Spark.", "`pip install` the delta-spark that the message names, or bring its jars.", (ConfigurationError,)),
    Code("widened", "The column is cast to a wider type, which can't change a value.", "", (VERDICT,)),
    Code("worker_died", "The Python process of the model died, and again when Spark tried once more.", "See the executors' stderr; raise `spark.executor.memoryOverhead`, or lower `model.batch_size` or `spark.sql.execution.arrow.maxRecordsPerBatch`.", (ScoringError,)),
    Code("worker_failed", "Something else than the model failed on a worker.", "See the executors' stderr for where it came from; please report it.", (ModelError,)),
    Code("written_by_another_attempt", "Another attempt of the same run has written the result.", "Run it again to see that result. Nothing was written twice.", (TargetError,)),
)
# fmt: on

# What may be over when the same command runs again, with nothing mended: a scheduler may repeat it by itself.
PASSING = frozenset(
    {
        "commit_unknown",
        "environment_not_restored",
        "increment_taken",
        "input_not_readable",
        "interrupted",
        "model_not_loadable",
        "registry_unreachable",
        "spark_failed",
        "spark_unreachable",
        "staging_gone",
        "storage_failed",
        "target_conflict",
        "target_not_readable",
        "terminated",
        "unexpected",
        "worker_died",
        "written_by_another_attempt",
    }
)


def may_pass(error: ScoringError) -> bool:
    """Tells whether each problem of an error is among those that may be over when the same command runs again."""
    return all(one.code in PASSING for one in error.problems or (error,))


def page() -> str:
    """Returns ``docs/errors.md``."""
    rows = [one for one in CODES if ROW in one.kinds]
    verdicts = [one for one in CODES if one.kinds == (VERDICT,)]
    errors = [one for one in CODES if one not in rows and one not in verdicts]
    return f"""# Codes

Written by `make docs` from [spark_scoring/error_codes.py](../spark_scoring/error_codes.py). A code is never renamed.
An error's message says more than this page: which name, table or key it was, what there is instead, and what to do.

## Errors

The `code` of an error in `--json`, in the runs table, and of the exceptions in `spark_scoring.errors`. The README tells
what the exit codes mean. These may be over when the same command runs again, with nothing mended, so a scheduler may repeat them:
{", ".join(f"`{code}`" for code in sorted(PASSING))}.

{_table(errors)}

## Rows

In the column `error` of a row that failed, in the quarantine or, with `errors.inline`, in the target. Where no row may
fail, the first one ends the run with the exit code.

{_table(rows)}

## Verdicts

What `spark-scoring check --json` says of a column or a parameter that is no problem; problems have the codes of exit
code 3 above.

| code | what it means |
|---|---|
{chr(10).join(f"| `{one.code}` | {one.meaning} |" for one in verdicts)}
"""


def _table(codes: Iterable[Code]) -> str:
    lines = ["| code | exit | what it means | what to do |", "|---|---|---|---|"]
    for one in codes:
        exits = ", ".join(str(code) for code in one.exit_codes)
        lines.append(f"| `{one.code}` | {exits} | {one.meaning} | {one.remedy} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(page())
