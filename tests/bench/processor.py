"""What the processor has spent on this process and all that it started: the JVM and Python apart.

From ``/proc`` (proc(5)): a process's own ticks, and those of the children that it has waited for. Linux alone.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

_TICKS = os.sysconf("SC_CLK_TCK")


class Spent(NamedTuple):
    """Seconds of the processor, user and system together.

    Attributes:
        jvm: Of Java processes.
        python: Of all others.
    """

    jvm: float
    python: float

    def since(self, before: Spent) -> Spent:
        """Returns what was spent after `before`."""
        return Spent(self.jvm - before.jvm, self.python - before.python)


class _Process(NamedTuple):
    name: str
    parent: int
    own: int
    waited_for: int


def spent() -> Spent:
    """Returns what was spent so far; what a Python worker spent that has ended counts, too."""
    processes = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            name, _, rest = (folder / "stat").read_text().partition("(")[2].rpartition(")")
        except OSError:  # it has ended meanwhile
            continue
        fields = rest.split()
        user, system, children_user, children_system = map(int, fields[11:15])
        processes[int(folder.name)] = _Process(name, int(fields[1]), user + system, children_user + children_system)
    ours, jvm, python = [os.getpid()], 0, 0
    for number in ours:
        process = processes.get(number)
        if process is None:
            continue
        ours += [other for other, theirs in processes.items() if theirs.parent == number]
        if process.name == "java":
            jvm += process.own
        else:
            python += process.own
        python += process.waited_for  # the JVM starts Python, and nothing starts a JVM that ends before we do
    return Spent(jvm / _TICKS, python / _TICKS)
