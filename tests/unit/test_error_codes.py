"""The registry of codes and what the package raises are the same, both ways."""

from pathlib import Path

import pytest

from spark_scoring import errors
from spark_scoring.error_codes import CODES, VERDICT, page
from tests.raised import Raised, Source, Unclear

DOCS = Path(__file__).parents[2] / "docs"
REGISTERED = {one.code: one for one in CODES}


@pytest.fixture(scope="module")
def source() -> Source:
    return Source()


@pytest.fixture(scope="module")
def raised(source: Source) -> dict[str, dict[str, str]]:
    """Each code with what carries it and where: ``{"bad_file": {"InputError": "reading/source.py:130"}}``."""
    found: dict[str, dict[str, str]] = {}
    for one in source.raised():
        if isinstance(one, Raised):
            found.setdefault(one.code, {})[one.kind] = one.place
    return found


def named(kind: object) -> str:
    return kind.__name__ if isinstance(kind, type) else str(kind).upper()


def order(kind: str) -> int:
    return vars(errors)[kind].exit_code if kind in vars(errors) else 1000


def line(code: str, kinds: dict[str, str]) -> str:
    names = sorted(kinds, key=order)
    return f'    Code("{code}", "MEANING.", "REMEDY.", ({", ".join(names)}{"," if len(names) == 1 else ""})),'


def test_the_code_of_every_error_can_be_read_from_the_source(source):
    unclear = [f"{one.place}: {one.why}" for one in source.raised() if isinstance(one, Unclear)]
    assert not unclear, "\n".join(["", *unclear])


def test_every_code_that_is_raised_is_registered(raised):
    missing = [
        f"{line(code, kinds)}  # {', '.join(kinds.values())}"
        for code, kinds in sorted(raised.items())
        if code not in REGISTERED
    ]
    assert not missing, "\n".join(["add to CODES in spark_scoring/error_codes.py, then run make docs:", *missing])


def test_every_registered_code_says_as_what_it_is_raised(raised):
    wrong = [
        f"{code} is {' and '.join(f'{kind} at {place}' for kind, place in raised[code].items())}: write its kinds as "
        f"({line(code, raised[code]).rpartition(', (')[2].removesuffix('),')}"
        for code, one in REGISTERED.items()
        if code in raised and {named(kind) for kind in one.kinds} != set(raised[code])
    ]
    assert not wrong, "\n".join(["in CODES in spark_scoring/error_codes.py:", *wrong])


def test_every_registered_code_is_raised(raised):
    unused = [code for code in REGISTERED if code not in raised]
    assert not unused, f"nothing raises {', '.join(unused)}; remove the lines from spark_scoring/error_codes.py"


def test_the_code_compares_only_with_codes_that_there_are(source):
    unknown = [f"{one.place}: {one.code}" for one in source.compared() if one.code not in REGISTERED]
    assert not unknown, "\n".join(["", *unknown])


def test_each_code_stands_once_in_the_order_of_the_alphabet():
    codes = [one.code for one in CODES]
    assert codes == sorted(set(codes))


def test_each_code_says_what_it_means_and_what_to_do():
    told = {one.code: (one.meaning, one.remedy or "-." if one.kinds == (VERDICT,) else one.remedy) for one in CODES}
    assert not [code for code, texts in told.items() if not all(text.endswith(".") for text in texts)]
    assert not [code for code, texts in told.items() if "|" in "".join(texts)]  # they stand in a table


def test_the_page_of_codes_is_what_the_registry_says():
    assert (DOCS / "errors.md").read_text(encoding="utf-8") == page(), "make docs writes it"


ERRORS = "from spark_scoring.errors import *\n"
ROW_FAILURE = "class RowFailure(NamedTuple):\n    code: str\n    stage: str\n"


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("raise ModelError('no', code='a')", {("a", "ModelError")}),
        ("raise ModelError('no')", {("unexpected", "ModelError")}),
        ("raise ModelError('no', code='a' if late else 'b')", {("a", "ModelError"), ("b", "ModelError")}),
        (
            "kind = ModelError if late else InputError\nraise kind('no', code='a')",
            {("a", "ModelError"), ("a", "InputError")},
        ),
        (
            "found = [(1, 'a')]\nfound.append((2, 'b'))\nfor one, code in found:\n    x = TargetError('no', code=code)",
            {("a", "TargetError"), ("b", "TargetError")},
        ),
        (
            "def _no(why, code='a'):\n    return TargetError(why, code=code)\nraise _no('no', 'b')",
            {("a", "TargetError"), ("b", "TargetError")},
        ),
        ("_ALL = {1: 'a', 2: 'b'}\nraise InputError('no', code=_ALL[1])", {("a", "InputError"), ("b", "InputError")}),
        ("raise InputError(str(exc), code=exc.code)", set()),
        (
            ROW_FAILURE + "raise ScoringFailedError('row', RowFailure('a', 'model'))",
            {("a", "ROW"), ("a", "RowsFailedError")},
        ),
        (
            ROW_FAILURE + "raise ScoringFailedError('file', RowFailure('a', 'model'))",
            {("a", "InputError")},
        ),
        (
            "class Verdict:\n    status: str\n    code: str\nVerdict('ok', 'a')\nVerdict('error', 'b')",
            {("a", "VERDICT"), ("b", "ContractError")},
        ),
    ],
)
def test_a_code_is_read_from_the_source_as_what_it_is_raised(tmp_path, text, codes):
    (tmp_path / "module.py").write_text(ERRORS + text, encoding="utf-8")
    assert {one[:2] for one in Source(tmp_path).raised()} == codes


@pytest.mark.parametrize(
    "text",
    [
        "raise ModelError('no', code=f'no_{what}')",
        "raise ModelError('no', code=code_of(what))",
        "class Fault:\n    code: str\nFault('a')",
    ],
)
def test_a_code_that_the_source_does_not_tell_is_unclear(tmp_path, text):
    (tmp_path / "module.py").write_text(ERRORS + text, encoding="utf-8")
    assert [type(one) for one in Source(tmp_path).raised()] == [Unclear]
