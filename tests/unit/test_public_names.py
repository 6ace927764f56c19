"""The names that other people's scripts rely on."""

import inspect

import spark_scoring
from spark_scoring import ScoringJob, check, get_session, load_scorer, score


def test_the_package_exports_these_names_and_no_others():
    assert spark_scoring.__all__ == [
        "Contract",
        "RunResult",
        "Scorer",
        "ScoringError",
        "ScoringJob",
        "check",
        "get_session",
        "load_scorer",
        "score",
    ]


def test_every_public_name_is_documented():
    assert not [name for name in spark_scoring.__all__ if not inspect.getdoc(getattr(spark_scoring, name))]


def test_the_calls_keep_their_parameters():
    def parameters(call):
        return list(inspect.signature(call).parameters)

    assert parameters(score) == ["job", "spark", "df", "run_id", "replay"]
    assert parameters(check) == ["job", "spark", "df"]
    assert parameters(get_session) == []
    assert parameters(ScoringJob.from_yaml) == ["path", "overrides", "variables"]
    assert {"spark", "policy", "method", "params", "columns", "key", "env_manager", "on_error"} <= set(
        parameters(load_scorer)
    )
