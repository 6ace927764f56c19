"""Whether there is a Java that the installed pyspark can use, and whether this process can start it."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import sys

from spark_scoring.errors import ConfigurationError

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
        output = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=60, check=False).stderr
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise ConfigurationError(f"{java} does not run: {exc}", code="no_java", remedy=_INSTALL_JAVA) from exc
    match = re.search(r'version "(?:1\.)?(\d+)', output)
    wanted = _JAVA_WANTED[3 if pyspark.__version__.startswith("3.") else 4]
    if match is None or int(match.group(1)) < wanted:
        version = match.group(1) if match else "an unknown version"
        raise ConfigurationError(
            f"Spark {pyspark.__version__} needs Java {wanted} or newer, and {java} is {version}",
            code="java_too_old",
            remedy=_INSTALL_JAVA,
        )


def check_process() -> None:
    """Makes sure that this process has what a JVM with Spark needs to start: a working directory and a user's name.

    Raises:
        ConfigurationError: If it lacks one of them.
    """
    check_working_directory()
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError as exc:
        raise ConfigurationError(
            f"Spark needs the name of its user, and the user id {os.geteuid()} has no entry in /etc/passwd",
            code="no_user_name",
            remedy="add an entry when the container starts, as Spark's own images do, or run as a user that has one",
        ) from exc


def check_working_directory() -> None:
    """Makes sure that the working directory is there.

    Raises:
        ConfigurationError: If it was removed, or can't be entered.
    """
    try:
        os.getcwd()
    except OSError as exc:
        raise ConfigurationError(
            "the working directory does not exist any more, or can't be read",
            code="no_working_directory",
            remedy="change to a folder that is there, and run it again",
        ) from exc


def folder_options(scratch: str) -> list[str]:
    """Returns the options that say where a JVM puts files: into `scratch`, and packages into the user's home."""
    # There they are removed also after a kill. It is Java's setting and not Spark's, so that a spark.local.dir that the
    # user has set is still the one that counts.
    folders = {"java.io.tmpdir": scratch}
    if not os.access(pwd.getpwuid(os.geteuid()).pw_dir, os.W_OK):
        folders["user.home"] = scratch  # where packages are kept, if no setting of Spark's says otherwise
    return [quoted(f"-D{name}={folder}") for name, folder in folders.items()]


def quoted(option: str) -> str:
    """Returns an option as Spark's launcher reads it: a folder's name may hold blanks and quotes."""
    if option.isprintable() and not set(option) & set(" \"'\\"):
        return option
    escaped = option.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


if __name__ == "__main__":
    # `python -m spark_scoring.spark.java` checks whether this machine can run Spark, before anything long starts.
    try:
        check_java()
    except ConfigurationError as error:
        print(error, file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_code)
