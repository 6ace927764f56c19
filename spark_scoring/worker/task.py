"""The task of Spark's that this process works for."""

import sys
from typing import Any


def current_task() -> Any:
    """Returns Spark's ``TaskContext`` of the task that this process works for, or None outside of Spark."""
    # Asked of the running worker rather than imported, so that this folder also runs where there is no pyspark.
    module = sys.modules.get("pyspark.taskcontext")
    return module.TaskContext.get() if module is not None else None
