"""Numbers in text: each is read as its form says, or as none at all, beside another reader of the same forms."""

from __future__ import annotations

import random
import re
from decimal import Decimal

import pandas as pd
import pytest

from spark_scoring.jobs.config import InputConfig
from spark_scoring.reading.text_types import Forms, value_of_text
from spark_scoring.reading.value_types import value_types
from tests.sweeps import swept

FORMS = [(".", ""), (",", ""), (",", "."), (".", ","), (",", " "), (",", "'"), (".", "_"), (",", "\u202f"), ("^", "]")]


def texts(seed: int, decimal: str, thousands: str, count: int) -> list[str]:
    """Texts that are numbers of a form, nearly are, or are of another form."""
    rng = random.Random(seed)
    marks = [decimal, thousands or ".", ".", ",", "", "-", "+", "e", "E", " ", "d", "N"]
    made = []
    for _ in range(count):
        whole = str(rng.randrange(10 ** rng.randrange(1, 16)))
        if thousands and rng.random() < 0.5:
            whole = f"{int(whole):,}".replace(",", thousands)
        text = rng.choice(["", "", "-", "+"]) + whole
        if rng.random() < 0.6:
            text += decimal + "".join(rng.choices("0123456789", k=rng.randrange(5)))
        if rng.random() < 0.1:
            text += rng.choice(["e5", "E-3", "e+10"])
        if rng.random() < 0.4:  # one mistake
            place = rng.randrange(len(text) + 1)
            text = text[:place] + rng.choice(marks) + text[place + rng.randrange(2) :]
        made.append(rng.choice(["", "", "", " "]) + text + rng.choice(["", "", "", " "]))
    return made


def expected(text: str, decimal: str, thousands: str) -> str | None:
    """The number's text as Python writes it, or None; written without a look at the SQL."""
    body = text.strip(" ")
    mantissa, power = re.fullmatch(r"(.*?)([eE][+-]?[0-9]+)?", body, re.DOTALL).groups()
    sign = mantissa[:1] if mantissa[:1] in {"+", "-"} else ""
    whole, mark, fraction = mantissa.removeprefix(sign).partition(decimal)
    groups = whole.split(thousands) if thousands else [whole]
    if len(groups) > 1 and not (1 <= len(groups[0]) <= 3 and all(len(group) == 3 for group in groups[1:])):
        return None
    digits = "".join(groups)
    if not all(char in "0123456789" for char in digits + fraction) or not digits + fraction:
        return None
    return f"{sign}{digits or '0'}.{fraction or '0'}{power or ''}" if mark or power else f"{sign}{digits}"


@pytest.mark.parametrize("seed", swept(range(10), {0}))
@pytest.mark.parametrize(("decimal", "thousands"), swept(FORMS, {(",", ""), (",", ".")}))
def test_numbers_are_what_another_reader_takes_them_for(seed, decimal, thousands, spark):
    given = sorted(set(texts(seed, decimal, thousands, 2_000)))
    forms = Forms(None, None, decimal, thousands)
    sql = [f"{value_of_text('x', kind, forms)} AS {name}" for name, kind in KINDS.items()]
    rows = spark.createDataFrame(pd.DataFrame({"x": given})).selectExpr("x", *sql).collect()
    wrong = [
        (row, text) for row in rows if tuple(row)[1:] != tuple(values(text := expected(row.x, decimal, thousands)))
    ]
    assert not wrong[:5]


KINDS = {"d": "double", "n": "bigint", "m": "decimal(12,2)"}


def values(text: str | None) -> tuple[float | None, int | None, Decimal | None]:
    if text is None:
        return None, None, None
    plain = "e" not in text.lower()
    exact = Decimal(text) if plain else None
    whole = int(text) if re.fullmatch(r"[+-]?[0-9]+", text) else None
    held = exact is not None and abs(exact) < 10**10 and exact == round(exact, 2)
    return (
        float(text),
        whole if whole is not None and -(2**63) <= whole < 2**63 else None,
        exact.quantize(Decimal("0.01")) if held and exact is not None else None,
    )


def test_the_types_of_a_wide_file_are_found_in_one_pass(spark, spark_jobs, tmp_path):
    names = [f"c{number}" for number in range(600)]
    (tmp_path / "rows.csv").write_text(f"{','.join(names)}\n{','.join(['1.5'] * 600)}\n")
    frame = spark.read.csv(str(tmp_path), header=True)
    before = spark_jobs()
    schema = value_types(frame, InputConfig(path=str(tmp_path), format="csv"))
    assert {field.dataType.simpleString() for field in schema} == {"double"}
    assert spark_jobs() - before <= 3
