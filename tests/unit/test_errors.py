"""The error tree: its exit codes, its text, and what several problems become."""

import pickle

import pytest

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
    combine,
)

EXIT_CODES = {
    ScoringError: 1,
    ConfigurationError: 2,
    ContractError: 3,
    ModelError: 4,
    InputError: 5,
    RowsFailedError: 6,
    AuditError: 7,
    TargetError: 8,
    Interrupted: 130,
    Terminated: 143,
}


def tree(kind):
    return {kind, *(below for child in kind.__subclasses__() for below in tree(child))}


def test_every_class_has_an_exit_code_of_its_own():
    assert {kind: kind.exit_code for kind in tree(ScoringError)} == EXIT_CODES


@pytest.mark.parametrize("kind", EXIT_CODES)
def test_an_error_survives_pickling_with_all_it_says(kind):
    error = kind("no", code="c", available="a", remedy="r", problems=[InputError("inner", code="i")])
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert again.to_dict() == error.to_dict()


def test_an_error_says_what_was_wrong_what_there_was_and_what_to_do():
    error = ModelError("no alias 'x'", available="@champion = 3", remedy="set it")
    assert str(error) == "no alias 'x'\n  available: @champion = 3\n  to do: set it"


def test_an_error_leaves_out_what_it_does_not_know():
    assert str(ModelError("gone")) == "gone"


def test_the_json_form_holds_the_code_the_exit_the_message_and_the_remedy():
    error = InputError("no table t", code="input_not_found", remedy="check the name")
    assert error.to_dict() == {
        "code": "input_not_found",
        "exit": 5,
        "message": "no table t",
        "available": None,
        "remedy": "check the name",
    }


def test_several_problems_take_the_class_of_the_earliest_step_and_list_all():
    errors = [TargetError("t"), ContractError("c"), InputError("i"), ModelError("m"), ConfigurationError("k")]
    while len(errors) > 1:
        whole = combine(errors)
        assert type(whole) is type(errors[-1])
        assert str(whole) == "\n\n".join(error.message for error in reversed(errors))
        errors.pop()


def test_one_problem_stays_itself():
    error = InputError("i")
    assert combine([error]) is error


def test_combined_errors_are_flattened():
    contract = ContractError("two", problems=[ContractError("one"), ContractError("other")])
    whole = combine([TargetError("t"), contract])
    assert [problem.message for problem in whole.problems] == ["one", "other", "t"]
    assert [problem["message"] for problem in whole.to_dict()["problems"]] == ["one", "other", "t"]


def test_combining_nothing_is_a_mistake():
    with pytest.raises(ValueError, match="at least one"):
        combine([])
