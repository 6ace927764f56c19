"""The file that spark-submit runs: the command `spark-scoring`, inside an application that it has started."""

import os
import sys

from spark_scoring.cli import main
from spark_scoring.submit import RESULT_FILE, driver_file

if __name__ == "__main__":
    if RESULT_FILE in os.environ:
        os.dup2(os.open(os.environ[RESULT_FILE], os.O_WRONLY), 1)
        driver_file(os.environ[RESULT_FILE]).write_text(str(os.getpid()))
    sys.exit(main())
