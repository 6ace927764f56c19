"""Documents damaged by seed: a valid text with tokens changed, values swapped, levels added or bytes cut."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator, Sequence
from copy import deepcopy
from io import StringIO
from typing import Any

from ruamel.yaml import YAML

from tests.fuzz import BINARY, NUMBERS, SECRET, mutated

_TOKEN = re.compile(r"\w+|\s+|.", re.DOTALL)
ODD: list[Any] = [
    None, True, False, 0, -1, 1.5, float("nan"), float("inf"), 10**30, "", " ", "x", "é", "\0", "\x1b[31m", "\u202e",
    "null", "~", "1", "1%", "200%", "-0", "0x1F", "1e999", "2024-01-31", "9999-99-99", "${x}", "${", "$${x}", "a.b",
    "a/b", "../..", "s3://k:hunter2@b/x", "models:/a@b@c", "file:///etc", "`", "'", '"', "[/red]", SECRET, "x" * 3_000,
    [], {}, [[]], [None], {"a": None}, {"": ""}, [1, "a", None], {"type": "double", "name": "a"}, ["a", "a"],
]  # fmt: skip
_SIGNS = [*"{}[](),:;=&*!|>'\"%@`#\\/-+.?$~<^\0\r\n\t ", "---", "...", "<<: *a", "&a", "*a", "!!python/name:os.system"]
_SIGNS += ["\u2028", "\ufeff", "\ud800", "${v}", "'${v}'", "/*", "*/", "--", "0x", "1_0", "://", "@", "%2F", "%00"]


def damaged(seed: int, samples: Sequence[str | bytes]) -> Iterator[bytes]:
    """Yields documents without end, the same ones for a seed: some as they were, most with some damage."""
    rng = random.Random(seed)
    words = sorted({word for sample in samples if isinstance(sample, str) for word in _TOKEN.findall(sample)[:2_000]})
    while True:
        sample = rng.choice(samples)
        if isinstance(sample, str):
            content = _damaged_text(rng, sample, words).encode("utf-8", "surrogatepass")
        else:
            content = sample
        if rng.random() < (0.2 if isinstance(sample, str) else 0.95):
            content = mutated(rng, content)
        if rng.random() < 0.02:
            content = rng.choice([b"", b"\xef\xbb\xbf", b"\xff\xfe", *BINARY]) + content[: rng.randrange(50)]
        yield content


def _damaged_text(rng: random.Random, sample: str, words: Sequence[str]) -> str:
    kind = rng.random()
    if kind < 0.05:
        return sample
    if kind < 0.4:
        changed = _other_values(rng, sample)
        if changed is not None:
            return changed
    tokens = _TOKEN.findall(sample) or [""]
    for _ in range(rng.choice([1, 1, 2, 5, 20])):
        at = rng.randrange(len(tokens))
        what = rng.random()
        if what < 0.2:
            tokens[at] = rng.choice(words) if words else ""
        elif what < 0.45:
            tokens[at] = rng.choice(_SIGNS)
        elif what < 0.6:
            tokens[at] += str(rng.choice(ODD))
        elif what < 0.7:
            tokens[at] = ""
        elif what < 0.8:
            tokens[at] *= rng.choice([2, 3, 60])
        elif what < 0.9:
            other = rng.randrange(len(tokens))
            tokens[at], tokens[other] = tokens[other], tokens[at]
        elif what < 0.97:
            tokens[at] = rng.choice(NUMBERS)
        else:
            tokens[at] = rng.choice("[{(-") * rng.choice([40, 70, 900])
    return "".join(tokens)


def _other_values(rng: random.Random, sample: str) -> str | None:
    """Returns the document with some values or names of it replaced, where it is a mapping; as JSON, or as YAML."""
    try:
        document = YAML(typ="safe", pure=True).load(sample)
    except Exception:
        return None
    if not isinstance(document, (dict, list)):
        return None
    for _ in range(rng.choice([1, 1, 2, 4])):
        places = list(_places(document))
        if not places:
            break
        holder, key = rng.choice(places)
        if isinstance(holder, dict) and rng.random() < 0.2:
            holder[rng.choice([word for word in ODD if isinstance(word, (str, int, float, type(None)))])] = holder.pop(
                key
            )
        else:
            holder[key] = deepcopy(rng.choice(ODD))
    if rng.random() < 0.5:
        try:
            return json.dumps(document)
        except (TypeError, ValueError):  # a date, or a name of another kind
            return None
    stream = StringIO()
    try:
        YAML(typ="safe", pure=True).dump(document, stream)
    except Exception:
        return None
    return stream.getvalue()


def _places(holder: Any) -> Iterator[tuple[Any, Any]]:
    for key, value in holder.items() if isinstance(holder, dict) else enumerate(holder):
        yield holder, key
        if isinstance(value, (dict, list)):
            yield from _places(value)
