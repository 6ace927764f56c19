"""Random documents by seed: requests in every form, broken in every way that anybody thought of."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator
from typing import Any

# What a valid request is made of, and what takes the place of a part of it.
NAMES = ["a", "b", "s", "t", "x", "c", "y", "0", "id", "data", "columns", "index", "inputs", "_index", "", "ID", "é"]
ODD_NAMES = [*NAMES, "\ud800", "a\udfff", "\0", "x" * 5_000, "http://x/?" + ";" * 2_000, "a\nb", "\u202e", "__class__"]
NUMBERS = ["0", "-1", "1.5", "1e400", "-1e400", "9" * 19, "9" * 40, "9" * 5_000, "0." + "1" * 6_000, "1E-999", "-0.0"]
WORDS = ["null", "true", "false", "NaN", "Infinity", "-Infinity", "[]", "{}", '""', '"x"', '"\\ud800"', '"\\u0000"']
DATES = ['"2024-01-31"', '"2024-01-31T00:00:00Z"', '"soon"', '"9999999-01-01"', '"0001-01-01"', '"2262-04-12"', '"NaT"']
LONG = ['"' + "x" * 3_000 + '"', '"aGk="', '"not base64!"', '"1"', '"true"']
FORMS = ["dataframe_split", "dataframe_records", "instances", "inputs", "input_data"]
SECRET = "4111-1111-hunter2"
HTML = "<!DOCTYPE html>\n<html><head><title>502, bad gateway</title></head>\n<body>a, b, c</body></html>\n"
BINARY = [b"PAR1\x00\x01", b"\x1f\x8b\x08", b"\x89PNG\r\n\x1a\n", b"PK\x03\x04", b"\xff\xfe{\x00", b"\x00" * 64]


def value(rng: random.Random, depth: int = 0) -> str:
    """Returns JSON text, mostly valid."""
    kind = rng.random()
    if depth < 4 and kind < 0.2:
        return "[" + ", ".join(value(rng, depth + 1) for _ in range(rng.randrange(4))) + "]"
    if depth < 4 and kind < 0.35:
        return mapping(rng, depth)
    if kind < 0.4:
        depth = rng.choice([40, 70, 900, 20_000])
        return "[" * depth + "1" + "]" * depth
    return rng.choice(rng.choice([NUMBERS, WORDS, DATES, LONG, [f'"{SECRET}"'], ["1", "2", "1.5", '"x"']]))


def mapping(rng: random.Random, depth: int = 0) -> str:
    """Returns a JSON object, now and then with a name twice."""
    names = [rng.choice(ODD_NAMES if rng.random() < 0.2 else NAMES) for _ in range(rng.randrange(5))]
    return "{" + ", ".join(f"{json.dumps(name)}: {value(rng, depth + 1)}" for name in names) + "}"


def rows(rng: random.Random, good: dict[str, str]) -> tuple[list[str], list[list[str]]]:
    """Returns names and rows of JSON texts, mostly of what a signature asks for."""
    columns = [name for name in good if rng.random() < 0.95]
    if rng.random() < 0.2:
        columns.append(rng.choice(ODD_NAMES))
    odd = rng.choice([0, 0.02, 0.2])
    width = [good.get(name, "[1, 2]") for name in columns]
    table = [[value(rng) if rng.random() < odd else cell for cell in width] for _ in range(rng.randrange(5))]
    if table and rng.random() < 0.1:
        rng.choice(table).append("1")
    return columns, table


def request(rng: random.Random, good: dict[str, str]) -> str:
    """Returns a request as text, in one of the forms, or in none."""
    columns, table = rows(rng, good)
    keys = [json.dumps(name) for name in columns]
    lists = "[" + ", ".join(f"[{', '.join(row)}]" for row in table) + "]"
    records = ["{" + ", ".join(f"{key}: {cell}" for key, cell in zip(keys, row, strict=False)) + "}" for row in table]
    named = "{" + ", ".join(f"{key}: [{', '.join(row[at] for row in table)}]" for at, key in enumerate(keys)) + "}"
    split = f'{{"columns": [{", ".join(keys)}], "data": {lists}}}'
    if rng.random() < 0.2:
        split = split[:-1] + f', "index": {value(rng)}}}'
    if list(good) == ["0"]:
        named = f"[{', '.join(cell for row in table for cell in row)}]"
        records = [cell for row in table for cell in row]
    body = rng.choice([split, f"[{', '.join(records)}]", named, lists, value(rng)])
    form = rng.choice(FORMS)
    if rng.random() < 0.6:
        body = {"dataframe_split": split, "inputs": named}.get(form, f"[{', '.join(records)}]")
    more = f', "params": {value(rng)}' if rng.random() < 0.2 else ""
    if rng.random() < 0.05:
        more += f", {json.dumps(rng.choice(ODD_NAMES + FORMS))}: {value(rng)}"
    return f'{{"{form}": {body}{more}}}'


def csv(rng: random.Random, good: dict[str, str]) -> str:
    """Returns CSV, mostly with the header that is asked for."""
    columns, table = rows(rng, good)
    cells = [[cell.strip('"') for cell in row] for row in table]
    comma = rng.choice([",", ",", ",", ";", "\t"])
    return rng.choice(["\n", "\r\n", "\r"]).join(comma.join(line) for line in [columns, *cells])


def mutated(rng: random.Random, content: bytes) -> bytes:
    """Returns `content` with a few bytes cut, doubled or changed."""
    for _ in range(rng.randrange(1, 4)):
        if not content:
            return content
        start = rng.randrange(len(content))
        end = min(len(content), start + rng.choice([1, 1, 2, 8, 50]))
        middle = rng.choice(
            [
                b"",
                content[start:end] * 2,
                rng.randbytes(end - start),
                b'"',
                b"\x00",
                b"{",
                b"]",
                b"\xed\xa0\x80",
                rng.choice(NUMBERS).encode(),
                rng.choice(WORDS).encode(),
            ]
        )
        content = content[:start] + middle + content[end:]
    return content


def documents(seed: int, good: dict[str, str]) -> Iterator[tuple[str, bytes]]:
    """Yields names and contents of files without end, the same ones for a seed.

    `good` holds the JSON text of a value of each input; the only one of a model without names is called ``0``.
    """
    rng = random.Random(seed)
    while True:
        kind = rng.random()
        name = rng.choice(["r.json", "r.json", "r.jsonl", "r.csv", "r", "r.json.gz"])
        if kind < 0.55:
            text = request(rng, good)
        elif kind < 0.65:
            text = "\n".join(request(rng, good) for _ in range(rng.randrange(1, 5)))
        elif kind < 0.8:
            text = csv(rng, good)
        elif kind < 0.9:
            text = rng.choice([value(rng), HTML, "[" * 100_000, '{"inputs": ' * 5_000, ",".join("ab" * 500), "x"])
        else:
            text = rng.choice(["", " \n", "null", '"x"', "{", "[]"])
        content: Any = text.encode("utf-8", "surrogatepass")
        if kind > 0.97:
            content = rng.choice(BINARY) + rng.randbytes(rng.randrange(50))
        if rng.random() < 0.3:
            content = mutated(rng, content)
        content = rng.choice([b"", b"", b"", b"\xef\xbb\xbf", b"\xff\xfe"]) + content
        yield name, gzip.compress(content, 1) if rng.random() < 0.05 else content
