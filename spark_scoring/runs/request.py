"""What a caller asks for."""

from __future__ import annotations

from spark_scoring.errors import ConfigurationError
from spark_scoring.redaction import redact

_LONGEST_RUN_ID = 200


def valid_run_id(run_id: str) -> str:
    """Returns the run id that a caller gave, which stands in rows, file names and commits for everybody to read.

    Raises:
        ConfigurationError: If it is empty or blank, too long, or holds signs that can't be seen, or a secret.
    """
    if not run_id.strip() or len(run_id) > _LONGEST_RUN_ID or not run_id.isprintable() or redact(run_id) != run_id:
        raise ConfigurationError(
            f"{redact(run_id)[:50]!r} is no run id" if run_id.strip() else "the run id is empty",
            code="bad_run_id",
            remedy=f"give 1 to {_LONGEST_RUN_ID} visible characters, such as nightly-2026-01-31; a variable that "
            "should hold it may not be set",
        )
    return run_id
