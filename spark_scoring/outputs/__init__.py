"""Where predictions go: what a target is, whether it takes them, and the write that a run can find again."""

from spark_scoring.outputs.commits import Commit, find_commit, find_last_run, find_run, read_metadata
from spark_scoring.outputs.merge import key_problems
from spark_scoring.outputs.replace import replace_predicate
from spark_scoring.outputs.staging import beside, drop_expired, drop_staging, staging_config
from spark_scoring.outputs.target import Target, describe_target, refuse_foreign_files, target_problems
from spark_scoring.outputs.write import write_rows

__all__ = [
    "Commit",
    "Target",
    "beside",
    "describe_target",
    "drop_expired",
    "drop_staging",
    "find_commit",
    "find_last_run",
    "find_run",
    "key_problems",
    "read_metadata",
    "refuse_foreign_files",
    "replace_predicate",
    "staging_config",
    "target_problems",
    "write_rows",
]
