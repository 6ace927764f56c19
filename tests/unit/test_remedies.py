"""What the catalogue of errors says to do is tried by a test for each code, or the reason why none can stands here."""

from __future__ import annotations

import ast
import json
import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, cast

import numpy as np
import pytest
from mlflow.types import ColSpec, Schema, TensorSpec
from pyspark.sql import types as T  # noqa: N812

from spark_scoring.cli import console, main
from spark_scoring.delta.limits import column_limits
from spark_scoring.error_codes import CODES, VERDICT
from spark_scoring.errors import ConfigurationError, ScoringError
from spark_scoring.jobs.config import OutputConfig, StagingConfig
from spark_scoring.publishing.staging_table import staging_place
from spark_scoring.spark import scratch
from tests.situations import reasons
from tests.spark import test_remedies as in_spark
from tests.sweeps import swept
from tests.unit.test_bindings import check, codes, struct

TESTS = Path(__file__).parents[1]
JOB = "model: {uri: MODEL}\ninput: {path: INPUT}\noutput: {path: TARGET}\n"
# What stands for a session: to get there is all that a command line can do without a JVM.
REACHED = "reached"


class Mend(NamedTuple):
    """A command that is refused, and what its message says to do.

    Attributes:
        words: What is typed; `MODEL` is a model that can be scored, `FOLDER` the test's folder.
        again: What is typed afterwards.
        files: What is in the folder, by name; None for a folder.
        mended: What is in it afterwards.
        reaches: The reasons of the second command: it would start a session, or, where none, it is done.
    """

    words: str
    again: str
    files: Mapping[str, str | None] = MappingProxyType({})
    mended: Mapping[str, str | None] = MappingProxyType({})
    reaches: frozenset[str] = frozenset({REACHED})


def document(wrong: str, right: str = JOB) -> Mend:
    """A job file before and after."""
    return Mend("score job.yml", "score job.yml", {"job.yml": wrong}, {"job.yml": right})


def words(wrong: str, right: str, text: str = JOB) -> Mend:
    """A command line before and after, over a job file."""
    return Mend(wrong, right, {"job.yml": text})


def printing(mend: Mend) -> Mend:
    """A command that needs no session."""
    return mend._replace(reaches=frozenset())


FLAVOR = "flavors: {python_function: {loader_module: any, env: {}}}\n"
INIT = "init --model MODEL --input ./in --output ./out"
DAY = "vars: {d: null}\nrecord: {table: 'runs_${d}'}\n"
MENDED = {
    "bad_override": words("score job.yml --set output.path.x=1", "score job.yml --set output.mode=append"),
    "bad_run_id": words("score job.yml --run-id=", "score job.yml --run-id=nightly-1"),
    "bad_submit_option": printing(
        words("submit job.yml --dry-run -- --master", "submit job.yml --dry-run -- --master spark://host:7077")
    ),
    "bad_value": words("score job.yml --set output.mode=appendd", "score job.yml --set output.mode=append"),
    "bad_vars": document(f"vars: [a]\n{JOB}", f"vars: {{a: b}}\n{JOB}"),
    "demo_folder_taken": Mend(
        "demo", "demo", {"spark-scoring-demo": None, "spark-scoring-demo/own": "x"}, {"spark-scoring-demo": "MOVED"}
    ),
    "deploy_mode": printing(
        words(
            "submit job.yml --dry-run -- --master yarn --deploy-mode cluster",
            "submit job.yml --dry-run -- --master yarn",
        )
    ),
    "duplicate_key": document(f"{JOB}model: {{uri: y}}\n"),
    "file_exists": printing(Mend(INIT, f"{INIT} --force", {"job.yml": "x"})),
    "file_not_written": printing(Mend(INIT.replace("init", "init file/job.yml"), INIT, {"file": "x"})),
    "import_refused": printing(
        Mend("import azure d.yml", "import azure d.yml", {"d.yml": "name: d\n"}, {"d.yml": "model: azureml:m:1\n"})
    ),
    "job_file_not_readable": Mend("score job.yml", "score job.yml", {}, {"job.yml": JOB}),
    "model_not_loadable": printing(
        Mend("inspect odd", "inspect odd", {"odd": None, "odd/MLmodel": "flavors: ["}, {"odd/MLmodel": FLAVOR})
    ),
    "more_problems": document(
        JOB + "errors:\n" + "".join(f"  k{at}: 1\n" for at in range(150)),
    ),
    "no_pyfunc_flavor": printing(
        Mend("inspect odd", "inspect MODEL", {"odd": None, "odd/MLmodel": "flavors: {sklearn: {pickled_model: x}}\n"})
    ),
    "no_quarantine": words(
        "score job.yml --replay r1", "score job.yml --replay r1 --set errors.quarantine=./bad --set errors.threshold=-1"
    ),
    "no_runs_table": Mend("history", "history --runs ./runs"),
    "not_a_job_file": document("- a\n"),
    "not_yaml": document("model: {uri: MODEL}\ninput: {path: a: b}\noutput: {path: TARGET}\n"),
    "unknown_key": document(f"{JOB}errors: {{tresholt: 0}}\n", f"{JOB}errors: {{threshold: 0}}\n"),
    "unknown_variable": Mend(
        "score job.yml --var d=1", "score job.yml --var d=1", {"job.yml": JOB}, {"job.yml": f"vars: {{d: null}}\n{JOB}"}
    ),
    "unsafe_variable": words("score job.yml --var d=../x", "score job.yml --var d=x", DAY.replace("runs_", "s.") + JOB),
    "unset_variable": words("score job.yml", "score job.yml --var d=1", DAY + JOB),
    "usage": Mend("score --model MODEL --var a=b", "score --model MODEL --input ./in --output ./out"),
}
# Tests that do what the message says, in other places.
ELSEWHERE = {
    "alias_not_found": "unit/test_remedies.py::test_a_registered_model_is_had_as_the_message_says",
    "audit_refused": "spark/test_audit.py::test_a_person_publishes_what_the_audit_refused",
    "bad_deployment_name": "unit/test_deployments.py::test_what_is_refused_goes_as_the_message_says",
    "bad_environment": "unit/test_environment.py::test_submit_hands_it_to_spark",
    "classes_unknown": "spark/test_remedies.py::test_classes_are_the_models_own_or_those_that_the_job_names",
    "commit_unknown": "spark/test_once.py::test_where_nobody_can_tell_whether_rows_are_committed_that_is_said",
    "delimiter": "spark/test_file_kinds.py::test_another_delimiter_is_asked_for_and_the_answer_works",
    "deployment_exists": "unit/test_deployments.py::test_what_is_refused_goes_as_the_message_says",
    "deployment_not_found": "unit/test_deployments.py::test_what_is_refused_goes_as_the_message_says",
    "duplicate_field": "unit/test_remedies.py::test_what_the_contract_or_a_target_refuses_is_taken_once_it_is_mended",
    "duplicate_input": "unit/test_remedies.py::test_what_the_contract_or_a_target_refuses_is_taken_once_it_is_mended",
    "duplicate_output": "spark/test_methods.py::test_classes_that_differ_in_case_alone_are_refused_for_columns_and_fine_for_the_top",  # noqa: E501
    "env_manager_on_connect": "cluster/test_connect_server.py::test_what_mlflow_can_not_do_there_is_refused_before_anything_is_written",  # noqa: E501
    "fixed_output_length": "unit/test_remedies.py::test_what_the_contract_or_a_target_refuses_is_taken_once_it_is_mended",  # noqa: E501
    "increment_taken": "spark/test_incremental.py::test_of_two_runs_from_one_state_only_one_is_published",
    "jars_differ": "unit/test_jars.py::test_jars_are_named_for_a_machine_without_a_network",
    "jars_unreachable": "unit/test_jars.py::test_jars_are_named_for_a_machine_without_a_network",
    "log_store_not_safe": "spark/test_stores.py::test_an_increment_is_not_taken_where_two_runs_could_take_it",
    "malformed_payload": "spark/test_payloads.py::test_a_malformed_request_is_isolated_where_the_job_says_so",
    "mlflow_too_old": "unit/test_registries.py::test_a_logged_model_is_not_looked_for_by_an_older_mlflow",
    "model_raised": "spark/test_messages.py::test_the_ways_on_are_named_and_each_of_them_works",
    "model_timeout": "spark/test_time_limits.py::test_a_call_that_hangs_costs_its_rows_and_one_that_raises_its_row",
    "no_container_image": "unit/test_submit.py::test_kubernetes_without_an_image_goes_as_the_message_says",
    "no_dataframe": "spark/test_streaming.py::test_what_is_no_dataframe_is_told_as_that_and_one_is_made_of_it",
    "no_hadoop_conf": "unit/test_submit.py::test_yarn_without_hadoops_files_is_refused_and_goes_as_the_message_says",
    "no_jars": "unit/test_jars.py::test_jars_are_named_for_a_machine_without_a_network",
    "no_place_beside": "unit/test_remedies.py::test_a_target_without_a_place_beside_it_is_given_one",
    "no_python": "unit/test_environment.py::test_the_interpreter_may_be_named",
    "no_spark_submit": "unit/test_submit.py::test_without_pyspark_spark_home_decides",
    "no_temporary_folder": "unit/test_remedies.py::test_temporary_files_have_the_place_that_is_named",
    "no_working_directory": "unit/test_remedies.py::test_a_command_goes_on_in_a_folder_that_is_there",
    "not_a_runs_table": "spark/test_remedies.py::test_a_runs_table_is_read_where_a_run_has_it",
    "package_missing": "cluster/test_environment.py::test_with_it_the_model_runs_in_its_own_packages",
    "param_type": "unit/test_bindings.py::test_what_is_no_such_param_is_refused_and_the_remedy_works",
    "params_differ": "spark/test_payloads.py::test_params_must_be_the_job_s",
    "python_differs": "unit/test_environment.py::test_submit_hands_it_to_spark",
    "refused_before": "spark/test_databricks_job.py::test_a_table_that_does_not_fit_is_refused_once_and_then_mended",
    "registry_unreachable": "unit/test_remedies.py::test_a_registered_model_is_had_as_the_message_says",
    "result_unknown": "spark/test_methods.py::test_a_method_of_which_only_the_author_knows_needs_a_result_type",
    "run_id_ambiguous": "spark/test_identity.py::test_a_refused_run_of_two_jobs_is_published_for_the_one_that_is_named",
    "run_id_taken": "spark/test_remedies.py::test_a_run_id_of_another_job_is_refused_and_one_of_its_own_taken",
    "run_not_found": "spark/test_remedies.py::test_a_run_that_is_not_known_is_published_by_its_id",
    "runs_table_not_readable": "spark/test_remedies.py::test_a_runs_table_is_read_where_a_run_has_it",
    "spark_unreachable": "cluster/test_connect_server.py::test_a_server_that_is_not_there_is_told",
    "storage_failed": "spark/test_storage_faults.py::test_a_full_disk",
    "streaming_input": "spark/test_streaming.py::test_the_page_s_programs",
    "target_char_key": "unit/test_target_limits.py::test_a_merge_key_that_is_padded_is_refused",
    "target_identity": "spark/test_target_columns.py::test_a_value_for_what_the_target_counts_is_refused_by_check_and_the_remedy_works",  # noqa: E501
    "target_not_mapped": "unit/test_target_limits.py::test_a_new_column_that_needs_column_mapping_is_refused_where_there_is_none",  # noqa: E501
    "target_not_shared": "cluster/test_apart.py::test_model_and_jars_are_sent_to_executors_that_see_nothing_of_the_drivers",  # noqa: E501
    "threshold_exceeded": "spark/test_messages.py::test_a_refused_run_names_publish_which_publishes_it_and_says_so_the_second_time",  # noqa: E501
    "types_differ": "unit/test_union_of_files.py::test_types_that_nothing_reconciles_are_named_unless_nobody_needs_the_column",  # noqa: E501
    "unknown_class": "spark/test_remedies.py::test_classes_are_the_models_own_or_those_that_the_job_names",
    "unnamed_class": "spark/test_remedies.py::test_a_class_that_no_column_can_be_called_by_is_one_of_the_top",
    "unnamed_input": "unit/test_bindings.py::test_an_input_without_a_name_is_not_guessed_among_several_and_the_remedy_works",  # noqa: E501
    "variable_shape": "unit/test_remedies.py::test_what_the_contract_or_a_target_refuses_is_taken_once_it_is_mended",
    "version_missing": "unit/test_remedies.py::test_a_registered_model_is_had_as_the_message_says",
    "version_not_found": "unit/test_remedies.py::test_a_registered_model_is_had_as_the_message_says",
    "versions_differ": "unit/test_pairs.py::test_a_pair_that_does_not_work_is_refused_and_the_one_to_take_is_taken",
}
# Codes whose remedy no test can try, with the reason.
UNTRIED = {
    "any_from_payload": "It asks for another signature, or for a table in place of requests: another job.",
    "avro_missing": "Spark's Avro is fetched from Maven, which tests do without.",
    "bad_archive_path": "Behind a good path the packages of a model are installed, which needs an index.",
    "env_manager_missing": "It installs a program on the machine.",
    "env_manager_without_gpus": "It packs the packages of a model, which needs an index, for a cluster with GPUs.",
    "environment_not_restored": "It needs the model's Python and a package index.",
    "interrupted": "There is nothing to mend: the same command is typed again.",
    "jars_not_published": "It installs another Spark and another Delta.",
    "jars_not_written": "Which folder a user may write to is the machine's; root may write to all.",
    "java_too_old": "It installs another Java.",
    "no_delta": "It installs a package from an index.",
    "no_demo_packages": "It installs packages from an index.",
    "no_installer": "It installs pip or uv.",
    "no_java": "It installs a Java on the machine.",
    "no_jvm": "It depends on what the JVM said.",
    "no_package": "It installs a package from an index.",
    "no_pyspark": "It installs a package from an index.",
    "no_requirements": "With requirements the packages are installed, which needs an index.",
    "no_user_name": "It adds a user to the machine.",
    "not_packageable": "It serves another model, or the model itself, without this package.",
    "not_reconciled": "It is a fault of this package or of Spark, which no input leads to.",
    "out_of_memory": "It gives the workers of a cluster more memory.",
    "registry_denied": "It needs the credentials of a registry.",
    "registry_tls": "It needs a certificate that somebody vouches for.",
    "requirements_not_enough": "It packs other requirements, which needs an index.",
    "requirements_not_installable": "It needs a package index.",
    "schema_evolution_refused": "It is for platforms whose MERGE adds no columns, which a local Spark's does.",
    "several_targets": "It asks for another model, made by its author.",
    "shape": "It asks for other rows: which of them are right is nobody's to tell here.",
    "spark_failed": "There is nothing to do but look: Spark's log says what it was.",
    "spark_model_on_connect": "It runs the job with spark-submit in place of Connect, on a cluster.",
    "staging_gone": "Somebody removed the staging table in the middle; the same command is typed again.",
    "store_client_missing": "It installs a package from an index.",
    "store_denied": "It needs the keys of a store.",
    "submit_failed": "There is nothing to do but look: spark-submit says what it was.",
    "target_conflict": "The same command is typed again once the other writers are done.",
    "target_not_readable": "It grants rights in a catalog, which a local Spark does not have.",
    "terminated": "There is nothing to mend: the same command is typed again.",
    "unexpected": "There is nothing to do but report it.",
    "unsupported_model": "It asks for another model, made by its author.",
    "worker_died": "It gives the workers of a cluster more memory.",
    "worker_failed": "There is nothing to do but report it.",
    "written_by_another_attempt": "There is nothing to mend: the same command shows the other attempt's result.",
}


def files_of(mapping: Mapping[str, str | None], folder: Path, adds: str) -> None:
    for name, content in mapping.items():
        path = folder / name
        if content is None:
            path.mkdir(parents=True, exist_ok=True)
        elif content == "MOVED":
            path.rename(folder / f"{name}.moved")
        else:
            path.write_text(content.replace("MODEL", adds), encoding="utf-8")


@pytest.fixture
def typed(tmp_path, monkeypatch, capfd, adds) -> Callable[[str], tuple[int, set[str]]]:
    """Types a command in the test's folder; returns its exit code and reasons."""

    def reached() -> Any:
        raise ScoringError("a session would start now", code=REACHED, remedy="start none")

    def command(line: str) -> tuple[int, set[str]]:
        rest = shlex.split(line.replace("MODEL", adds).replace("FOLDER", str(tmp_path)))
        at = rest.index("--") if "--" in rest else len(rest)
        monkeypatch.setattr(sys, "argv", ["spark-scoring", *rest[:at], "--json", *rest[at:]])
        ended = main()
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        return ended, reasons(json.loads(out))

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(console, "quiet", lambda: None)
    monkeypatch.setattr("spark_scoring.record.local_index._FOLDER", tmp_path / "index")
    for module in ("spark.session", "runs.run", "demo"):
        monkeypatch.setattr(f"spark_scoring.{module}.get_session", reached, raising=False)
    return command


@pytest.mark.parametrize("code", swept(MENDED, {"bad_value", "usage", "unset_variable"}))
def test_what_the_message_says_is_done_and_the_command_goes_on(code, typed, tmp_path, adds):
    mend = MENDED[code]
    files_of(mend.files, tmp_path, adds)
    ended, refused = typed(mend.words)
    assert ended
    assert code in refused
    files_of(mend.mended, tmp_path, adds)
    _, then = typed(mend.again)
    assert then == mend.reaches


def test_a_registered_model_is_had_as_the_message_says(typed, registry, adds):
    registry.register("remedied", adds)
    there = f"--tracking-uri {registry.uri}"
    assert typed("inspect models:/remedied/1 --tracking-uri sqlite:///FOLDER/none.db") == (4, {"registry_unreachable"})
    assert typed(f"inspect models:/remedied {there}") == (4, {"version_missing"})
    assert typed(f"inspect models:/remedied/9 {there}") == (4, {"version_not_found"})
    assert typed(f"inspect models:/remedied/1 {there}") == (0, set())
    assert typed(f"inspect models:/remedied@best {there}") == (4, {"alias_not_found"})
    registry.client.set_registered_model_alias("remedied", "best", "1")
    assert typed(f"inspect models:/remedied@best {there}") == (0, set())


A, X = ColSpec("double", "a"), np.dtype("float64")
CONTRACTS: dict[str, tuple[list[Any], list[Any], dict[str, Any]]] = {
    "duplicate_input": (
        [ColSpec("double", "0"), ColSpec("double", cast(Any, 0))],
        [ColSpec("double", "0")],
        {"0": "double"},
    ),
    "variable_shape": ([TensorSpec(X, (-1, -1), "x")], [TensorSpec(X, (-1, 2), "x")], {"x": ["double"]}),
}


@pytest.mark.parametrize("code", [*CONTRACTS, "duplicate_field", "fixed_output_length"])
def test_what_the_contract_or_a_target_refuses_is_taken_once_it_is_mended(code):
    if code == "duplicate_field":
        for names, limits in ((("a", "A"), [code]), (("a", "b"), [])):
            inner = T.StructType([T.StructField(name, T.LongType()) for name in names])
            assert [one.code for one in column_limits(T.StructType([T.StructField("x", inner)]))] == limits
        return
    if code == "fixed_output_length":
        for shape, expected in (((3,), [code]), ((-1,), [])):
            assert codes(check(struct(a="double"), A, outputs=Schema([TensorSpec(X, shape)]))) == expected
        return
    wrong, right, columns = CONTRACTS[code]
    assert codes(check(struct(**columns), *wrong)) == [code]
    assert codes(check(struct(**columns), *right)) == []


def test_a_target_without_a_place_beside_it_is_given_one():
    output = OutputConfig(path="s3://bucket", mode="append")
    with pytest.raises(ConfigurationError) as caught:
        staging_place(output, StagingConfig(), "run")
    assert caught.value.code == "no_place_beside"
    assert staging_place(output, StagingConfig(location="s3://other/staging"), "run").location.startswith("s3://other/")


def test_temporary_files_have_the_place_that_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(scratch, "_folders", {})
    monkeypatch.setattr("tempfile.tempdir", "/dev/null/nowhere")
    with pytest.raises(ConfigurationError) as caught:
        scratch.scratch_folder()
    assert caught.value.code == "no_temporary_folder"
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert str(tmp_path) in str(scratch.scratch_folder())


def test_a_command_goes_on_in_a_folder_that_is_there(typed, tmp_path, monkeypatch):
    place = tmp_path / "place"
    place.mkdir()
    monkeypatch.chdir(place)
    place.rmdir()
    assert typed("inspect MODEL") == (2, {"no_working_directory"})
    monkeypatch.chdir(tmp_path)
    assert typed("inspect MODEL") == (0, set())


def in_order(names: Mapping[str, object]) -> bool:
    return list(names) == sorted(names)


def test_each_code_has_a_test_that_does_what_it_says_or_a_reason_why_none_does():
    codes = {one.code for one in CODES if one.kinds != (VERDICT,)}
    tables: list[Mapping[str, object]] = [MENDED, in_spark.MENDED, ELSEWHERE, UNTRIED]
    listed = [code for one in tables for code in one]
    assert not codes - set(listed), "say which test does what these say, or why none can"
    assert not set(listed) - codes, "there are no such codes"
    assert not [code for code in set(listed) if listed.count(code) > 1], "these stand in two tables"
    assert all(map(in_order, tables)), "in the order of the alphabet"


def test_each_test_that_is_named_is_there():
    for place in ELSEWHERE.values():
        file, _, name = place.partition("::")
        tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
        assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}, place


def test_a_reason_is_one_sentence():
    assert not [code for code, reason in UNTRIED.items() if len(reason) < 20 or not reason.endswith(".")]
