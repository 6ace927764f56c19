"""Refuses a commit whose subject has 72 characters or more: `git log --oneline` cuts those off."""

import sys
from pathlib import Path

LIMIT = 72
# What git itself writes, and what is gone after a rebase.
NOT_WRITTEN = ("Merge ", "Revert ", "fixup! ", "squash! ", "amend! ")


def refusal(message: str) -> str | None:
    """Returns what is wrong with a commit message's subject, or None."""
    lines = [line.strip() for line in message.split("\n") if not line.startswith("#")]
    subject = next((line for line in lines if line), "")
    if len(subject) < LIMIT or subject.startswith(NOT_WRITTEN):
        return None
    return f"the subject has {len(subject)} characters, and may have {LIMIT - 1}; the body has room for why:\n{subject}"


if __name__ == "__main__":
    sys.exit(refusal(Path(sys.argv[1]).read_text(encoding="utf-8")))
