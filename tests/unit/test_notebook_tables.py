"""What a notebook shows of a contract, a result and an error: a table, in which every text is text."""

from html.parser import HTMLParser

import pytest
from mlflow.models import ModelSignature
from mlflow.types.schema import ColSpec, Schema
from pyspark.sql.types import DoubleType, StringType, StructField, StructType

from spark_scoring import RunResult
from spark_scoring.contract import Terms, check_contract
from spark_scoring.errors import ContractError, combine
from spark_scoring.redaction import html_table

MARKUP = "<script>alert('x')</script> & \x1b[31m"


class Cells(HTMLParser):
    """The texts of a table's cells, by rows, and the names of all tags."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.tags = [], set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        assert not attrs
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
        elif tag == "br":
            self.rows[-1][-1] += "\n"

    def handle_data(self, data):
        if self.rows:
            self.rows[-1][-1] += data


def contract(name="a"):
    columns = StructType([StructField(name, DoubleType()), StructField("other", StringType())])
    signature = ModelSignature(Schema([ColSpec("double", "a")]), Schema([ColSpec("double")]))
    return check_contract(columns, signature, Terms(), model="models:/m/1")


def test_whatever_stands_in_a_cell_is_text():
    shown = Cells(html_table([MARKUP], [[MARKUP], [None], [1234], [True]], MARKUP))
    text = MARKUP.replace("\x1b", "\\x1b")
    assert shown.rows == [[text], [text], [""], ["1,234"], ["True"]]
    assert shown.tags <= {"table", "caption", "thead", "tbody", "tr", "th", "td"}


def test_a_contract_is_a_table_of_its_verdicts():
    shown = Cells(contract()._repr_html_()).rows
    assert shown[0] == ["", "column", "table has", "model wants", "verdict", "to do"]
    assert ["ok", "a", "double", "double"] in [row[:4] for row in shown]
    assert ["-", "other", "string", ""] in [row[:4] for row in shown]


def test_the_problems_of_a_contract_stand_first_with_what_to_do():
    shown = Cells(contract("b")._repr_html_()).rows
    assert shown[1][:2] == ["ERROR", "a"]


def test_a_contract_is_short_in_plain_text():
    assert repr(contract()) == "Contract(models:/m/1: ok; 1 ok, 1 -)"
    assert repr(contract("b")).startswith("Contract(models:/m/1: not satisfied; 1 ERROR, ")


RESULT = RunResult(
    "r1", "succeeded", "adds/1", "sha256:0", 1200, 1199, 1, "s3://ada:secret@b/<t>", 3, "q", 1.5, None,
    audit=({"check": "null_ratio", "figure": "0.5", "bound": "at most 1", "passed": True},),
)  # fmt: skip


def test_a_result_is_a_table_of_what_it_says():
    rows = dict(Cells(RESULT._repr_html_()).rows)
    assert rows["rows_in"] == "1,200"
    assert rows["target"] == "s3://***@b/<t>"
    assert rows["audit: null_ratio"] == "0.5, wanted at most 1"
    assert "report" not in rows


def test_a_result_is_short_in_plain_text():
    assert repr(RESULT) == "RunResult(r1: succeeded, 1,199 scored, 1 failed into s3://***@b/<t>, version 3)"


@pytest.mark.parametrize("number", [1, 2])
def test_what_a_check_raises_is_a_table_of_its_problems(number):
    errors = [ContractError(f"no column <{place}>", code="missing", remedy="map it") for place in range(number)]
    rows = Cells(combine(errors)._repr_html_()).rows
    assert rows[1:] == [["missing", f"no column <{place}>", "", "map it"] for place in range(number)]
