"""The file that spark-submit runs: the command `spark-scoring`, inside an application that it has started."""

import importlib
import os
import sys
from pathlib import Path

if __name__ == "__main__":
    # The package that this file is a part of, also where that is a checkout that only the working directory named, or
    # where another one is installed.
    sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
    importlib.import_module("spark_scoring")
    del sys.path[0]

from spark_scoring.cli import main
from spark_scoring.submit import RESULT_FILE, driver_file

if __name__ == "__main__":
    if RESULT_FILE in os.environ:
        os.dup2(os.open(os.environ[RESULT_FILE], os.O_WRONLY), 1)
        driver_file(os.environ[RESULT_FILE]).write_text(str(os.getpid()))
    sys.exit(main())
