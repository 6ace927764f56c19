"""A thousand strings that somebody means harm with, or that merely come from a hard world; always the same thousand."""

from __future__ import annotations

import random

# Whatever holds it must not show it.
SECRET = "hunter2swordfish"
COUNT = 1000

_INJECTIONS = [
    "x; DROP TABLE bystander",
    "x'; DROP TABLE bystander; --",
    "x`; DROP TABLE bystander; --",
    "`; DROP TABLE bystander; `",
    "') OR 1=1 --",
    "' OR ''='",
    '" OR ""="',
    "1 OR 1=1",
    "x/**/UNION/**/SELECT 1",
    "bystander` WHERE 1=1 --",
    "main.`x``; DROP TABLE bystander; --`",
    "\\'; DROP TABLE bystander; --",
    "x) VALUES (1); DELETE FROM bystander; --",
    "-- a comment",
    "/* half a comment",
    "x VERSION AS OF 0",
    "x@v0",
    "bystander",
    "a = 1) OR (1 = 1",
    "${spark.app.name}",
    "${env:HOME}",
    "${system:user.home}",
    "$${twice}",
    "{{template}}",
    "`",
    "``",
    "'",
    "''",
    '"',
    "\\",
    ";",
    "--",
]
_UNICODE = [
    "\u202egnp.exe",
    "e\u0301\u0301\u0301",
    "\u200b",
    "x\u200by",
    "\ufeffname",
    "😀👩\u200d👩\u200d👧",
    "ИмЯ",
    "名前",
    "شمس",
    "İstanbul",
    "ß",
    "ﬁ",
    "a\0b",
    "\0",
    "\ud800",
    "x\udfffy",
    "\U0010ffff",
    "\x1b[31mred",
    "\x07",
    "a\u2028b",
    "a\u00a0b",
    "′; DROP TABLE bystander",
    "ａ．ｂ",
]
_PATHS = [
    "../../../etc/passwd",
    "..",
    ".",
    "/",
    "//",
    "~",
    "~root/x",
    "~nobody-here/x",
    "./../x",
    "a/../../b",
    "/dev/null",
    "/dev/null/x",
    "/proc/self/mem",
    "....//....//x",
    "%2e%2e%2fx",
    "a/%00/b",
    "_delta_log",
    "x/_delta_log",
    "a//b",
    "C:\\Windows\\x",
    "\\\\host\\share",
    "CON",
    "-rf",
    "--help",
    "a:b",
    "*",
    "[a-z]*",
    "{a,b}",
    "x?",
    "**/*",
    "a[",
    "#x",
    "a%20b",
    "100%",
    "%s%n%x",
    "month=12/day=3",
]
_URIS = [
    "s3://AKIA:{s}@bucket.invalid/x",
    "https://ada:{s}@host.invalid/x",
    "https://ada:p@{s}@host.invalid/x",
    "https://ada:p/{s}@host.invalid/x",
    "https://{s}@host.invalid/x",
    "https://host.invalid/x?sig={s}",
    "https://host.invalid/x?v=1&token={s}",
    "https://host.invalid/x#access_token={s}",
    "postgresql+psycopg2://ada:{s}@db.invalid/mlflow",
    "mysql://ada:{s}@db.invalid:3306/mlflow",
    "sqlite://ada:{s}@db.invalid/x",
    "wasbs://ada:{s}@account.invalid/x",
    "hdfs://ada:{s}@namenode.invalid/x",
    "ftp://ada:{s}@host.invalid/x",
    "file:///x?token={s}",
    "s3:/AKIA:{s}@bucket.invalid/x",
    "dbfs:/x?token={s}",
    "http://[{s}@bad",
    "https://ada:{s}@[::1",
    "jdbc:postgresql://db.invalid/x?user=ada&password={s}",
    "jdbc:sqlserver://db.invalid;user=ada;password={s}",
    "Server=db.invalid;Pwd={s};",
    "delta.`s3://AKIA:{s}@bucket.invalid/x`",
    "models:/m/1?token={s}",
    "runs:/x?token={s}",
    "mlflow-artifacts://ada:{s}@host.invalid/x",
    "no_such+scheme://ada:{s}@host.invalid/x",
]
_TEXTS = [
    "",
    " ",
    "   ",
    "\t",
    "\n",
    "a\nb",
    "a\r\nb",
    "\r",
    "{}",
    "{0}",
    "{0.__class__.__mro__}",
    "%(name)s",
    "!!python/object/apply:os.system ['true']",
    "!!python/name:os.system",
    "!x y",
    "*alias",
    "&anchor x",
    "- x",
    "? x",
    "a: b",
    "[",
    "{",
    "| x",
    "> x",
    "@x",
    "2026-99-99",
    "0x1f",
    "1e999",
    ".nan",
    "1_000",
    "null",
    "~null",
    "true",
    "no",
    "<<: x",
    "&a [*a]",
    "select",
    "from",
    "table",
    "order",
    "default",
    "null.null",
    "a.b.c.d.e",
    "a..b",
    ".a",
    "a.",
    "a.b",
    "a b",
    "a,b",
    "a=b",
    "(a)",
    "a\tb",
    "id",
    "ID",
    "a",
    "_metadata",
    "_change_type",
    "n",
    "rows",
    "code",
    "error",
    "model_id",
    "__spark_scoring_carrier",
    "__spark_scoring_error",
    "__HIVE_DEFAULT_PARTITION__",
    "None",
    "NaN",
    "-1",
    "9223372036854775808",
]
_LONG = [
    "x" * 300,
    "x" * 10_000,
    "../" * 2000,
    "é" * 2000,
    "'" * 5000,
    "`" * 999,
    "a." * 3000,
    "://" * 2000,
    "a/" * 300,
]
KINDS = {
    "injection": _INJECTIONS,
    "unicode": _UNICODE,
    "path": _PATHS,
    "uri": [uri.replace("{s}", SECRET) for uri in _URIS],
    "text": _TEXTS,
    "long": _LONG,
}


def strings() -> list[tuple[str, str]]:
    """Returns the thousand, each with its kind: those above as they are, and mixtures of them."""
    found = [(kind, text) for kind, texts in KINDS.items() for text in texts]
    rng = random.Random(20130101)
    short = [text for _, text in found if len(text) < 60]
    seen = {text for _, text in found}
    while len(found) < COUNT:
        kind = rng.choice(["injection", "unicode", "path", "uri", "text"])
        text = rng.choice(KINDS[kind])
        plain = [other for other in short if SECRET not in other]
        # What stands before a URI may not make something else of it, and behind it is its own query or path.
        mixed = text + rng.choice(["/", "?", " "]) + rng.choice(plain) if kind == "uri" else _mixed(rng, text, plain)
        if mixed not in seen:
            seen.add(mixed)
            found.append((kind, mixed))
    return found


def _mixed(rng: random.Random, text: str, others: list[str]) -> str:
    parts = [text, *(rng.choice(others) for _ in range(rng.randint(1, 2)))]
    rng.shuffle(parts)
    return rng.choice(["", " ", "/", ".", "'", "`", ";"]).join(parts)


def sample(count: int) -> list[tuple[str, str]]:
    """Returns `count` of the thousand, as many of each kind, the plainest first."""
    by_kind = {kind: [text for name, text in strings() if name == kind] for kind in KINDS}
    rng = random.Random(count)
    found: list[tuple[str, str]] = []
    while len(found) < count:
        for kind, texts in by_kind.items():
            found.append((kind, texts.pop(rng.randrange(min(len(texts), len(KINDS[kind]))))))
    return found[:count]
