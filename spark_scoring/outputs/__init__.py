"""Where predictions go: what a target is, whether it takes them, and the write that a run can find again."""

from spark_scoring.outputs.commits import Commit, find_commit, find_run
from spark_scoring.outputs.target import Target, describe_target, target_problems
from spark_scoring.outputs.write import write_direct

__all__ = ["Commit", "Target", "describe_target", "find_commit", "find_run", "target_problems", "write_direct"]
