"""Whether there is a Java that the installed pyspark can use."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from spark_scoring.errors import ConfigurationError

if TYPE_CHECKING:
    pass


_JAVA_WANTED = {3: 8, 4: 17}
_INSTALL_JAVA = "install a JDK 17 or 21 (such as the package openjdk-17-jdk, or temurin), or point JAVA_HOME to one"


def check_java() -> None:
    """Makes sure that there is a Java that the installed pyspark can use.

    Raises:
        ConfigurationError: If there is none, or it is too old.
    """
    import pyspark

    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=os.path.join(home, "bin")) if home else shutil.which("java")
    if java is None:
        where = f"in JAVA_HOME ({home})" if home else "on the PATH"
        raise ConfigurationError(f"Spark needs Java, and there is none {where}", code="no_java", remedy=_INSTALL_JAVA)
    try:
        said = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=60, check=False).stderr
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise ConfigurationError(f"{java} does not run: {exc}", code="no_java", remedy=_INSTALL_JAVA) from exc
    match = re.search(r'version "(?:1\.)?(\d+)', said)
    wanted = _JAVA_WANTED[3 if pyspark.__version__.startswith("3.") else 4]
    if match is None or int(match.group(1)) < wanted:
        found = match.group(1) if match else "an unknown version"
        raise ConfigurationError(
            f"Spark {pyspark.__version__} needs Java {wanted} or newer, and {java} is {found}",
            code="java_too_old",
            remedy=_INSTALL_JAVA,
        )


if __name__ == "__main__":
    # `python -m spark_scoring.spark.java` tells whether this machine can run Spark, before anything long starts.
    try:
        check_java()
    except ConfigurationError as error:
        print(error, file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_code)
