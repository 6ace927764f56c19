"""Which GPUs Spark assigned to a task, and how the libraries of a model are told.

Spark names them in the task's resources (``spark.task.resource.gpu.amount``); it does not keep a process from using
others. CUDA's libraries do, by ``CUDA_VISIBLE_DEVICES``, which they read once, when they start.
"""

import re
from collections.abc import Mapping

from .task import current_task

_VISIBLE = "CUDA_VISIBLE_DEVICES"
_ORDER = "CUDA_DEVICE_ORDER"
_MLFLOW = "MLFLOW_DEFAULT_PREDICTION_DEVICE"
# As PyTorch's flavor takes it, and as that of transformers does.
_INDEX = re.compile(r"^(cuda:)?\d+$")


def assigned_gpus() -> tuple[str, ...]:
    """Returns the addresses of the GPUs that Spark assigned to this process's task; none outside of Spark."""
    context = current_task()
    resources = (context.resources() or {}) if context is not None else {}
    return tuple(resources["gpu"].addresses) if "gpu" in resources else ()


def environment_of(gpus: tuple[str, ...], inherited: Mapping[str, str]) -> dict[str, str]:
    """Returns the environment of a process that is to see these GPUs and no others.

    Args:
        gpus: Their addresses: the indexes that ``nvidia-smi`` shows, or UUIDs. With none nothing changes.
        inherited: The environment of the worker.
    """
    env = dict(inherited)
    if not gpus:
        return env
    env[_VISIBLE] = ",".join(gpus)
    env.setdefault(_ORDER, "PCI_BUS_ID")  # nvidia-smi's order, in which discovery scripts count; CUDA's own is another
    if named := _INDEX.match(env.get(_MLFLOW, "")):
        env[_MLFLOW] = f"{named[1] or ''}0"  # the first that is visible is number 0
    return env
