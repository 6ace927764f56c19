"""`python -m spark_scoring` is the command `spark-scoring`."""

import sys

from spark_scoring.cli import main

if __name__ == "__main__":
    sys.exit(main())
