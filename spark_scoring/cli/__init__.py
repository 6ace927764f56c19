"""The command line: words become a request, the request an outcome, the outcome output and an exit code."""

from spark_scoring.cli.program import main

__all__ = ["main"]
