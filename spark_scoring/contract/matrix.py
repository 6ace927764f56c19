"""Which Spark type may stand in for which MLflow type: the one table that decides it, and that the docs show."""

from __future__ import annotations

from enum import Enum
from typing import Literal

from pyspark.sql.types import DataType

Policy = Literal["strict", "safe", "lenient"]


class Rule(Enum):
    """How a column of one Spark type reaches a model input of one MLflow type."""

    SAME = "="
    WIDEN = "+"
    CHECK = "~"
    TRY = "?"
    REFUSE = "-"

    def under(self, policy: Policy) -> Rule:
        """Returns the rule as `policy` sees it: what the policy does not allow is `REFUSE`."""
        if self in _ALLOWED[policy]:
            return Rule.TRY if self is Rule.CHECK and policy == "lenient" else self
        return Rule.REFUSE


_ALLOWED: dict[str, frozenset[Rule]] = {
    "strict": frozenset({Rule.SAME}),
    "safe": frozenset({Rule.SAME, Rule.WIDEN, Rule.CHECK}),
    "lenient": frozenset({Rule.SAME, Rule.WIDEN, Rule.CHECK, Rule.TRY}),
}

# =  the same type                              strict, safe, lenient
# +  a cast that can't change a value                   safe, lenient
# ~  a cast that is checked in every row: a value
#    that does not survive it is that row's error       safe  (lenient: the cast alone)
# ?  Spark's try_cast: a value that does not
#    convert is that row's error                              lenient
# -  refused
TABLE = """
Spark type      boolean  integer  long  float  double  string  binary  datetime
boolean            =        ?      ?      ?      ?       ?       -        -
tinyint            ?        +      +      +      +       ?       -        -
smallint           ?        +      +      +      +       ?       -        -
int                ?        =      +      ~      +       ?       -        -
bigint             ?        ?      =      ~      ~       ?       -        -
float              ?        ?      ?      =      +       ?       -        -
double             ?        ?      ?      ?      =       ?       -        -
decimal            ?        ?      ?      ?      ~       ?       -        -
string             ?        ?      ?      ?      ?       =       ?        ?
binary             -        -      -      -      -       -       =        -
date               -        -      -      -      -       ?       -        +
timestamp          -        -      -      -      -       ?       -        =
timestamp_ntz      -        -      -      -      -       ?       -        =
"""


def _parse(table: str) -> dict[tuple[str, str], Rule]:
    header, *lines = [line.split() for line in table.strip().splitlines()]
    targets = header[2:]
    return {(line[0], target): Rule(mark) for line in lines for target, mark in zip(targets, line[1:], strict=True)}


_RULES = _parse(TABLE)


def rule(source: str, target: str, policy: Policy) -> Rule:
    """Returns how a Spark column of type `source` reaches an MLflow input of type `target` under `policy`.

    Args:
        source: A Spark type's name as in `TABLE`; parameters such as a decimal's precision are left out.
        target: The name of an MLflow ``DataType``.
        policy: The contract's policy.
    """
    return _RULES.get((source, target), Rule.REFUSE).under(policy)


def accepted(target: str, policy: Policy) -> list[str]:
    """Returns the Spark types that `target` takes under `policy`, the same type first."""
    rules = [(source, rule(source, target, policy)) for source, name in _RULES if name == target]
    allowed = [(source, how) for source, how in rules if how is not Rule.REFUSE]
    return [source for source, how in sorted(allowed, key=lambda pair: pair[1] is not Rule.SAME)]


# The MLflow type that a Spark type is, where there is one.
SAME_TYPE = {source: target for (source, target), how in _RULES.items() if how is Rule.SAME} | {
    "tinyint": "integer",
    "smallint": "integer",
    "decimal": "double",
    "date": "datetime",
}


def spark_type_name(dtype: DataType) -> str:
    """Returns the type's name as the matrix has it, without parameters."""
    name = dtype.typeName()
    if name == "udt":
        return "vector"
    return _NAMES.get(name, "interval" if "interval" in name else name)


_NAMES = {
    "byte": "tinyint",
    "short": "smallint",
    "integer": "int",
    "long": "bigint",
    "varchar": "string",
    "char": "string",
}
