"""The file that spark-submit runs: the command `spark-scoring`, inside an application that it has started."""

import sys

from spark_scoring.cli import main

if __name__ == "__main__":
    sys.exit(main())
