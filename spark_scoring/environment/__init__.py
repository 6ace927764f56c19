"""The packages that a model needs: held against those that are there, or packed for workers that have none."""

from spark_scoring.environment.managers import refuse_missing_manager
from spark_scoring.environment.manifest import Manifest, read_manifest, unpacked_manifest
from spark_scoring.environment.pack import Packed, pack_environment

__all__ = ["Manifest", "Packed", "pack_environment", "read_manifest", "refuse_missing_manager", "unpacked_manifest"]
