"""Folders of a store, through Hadoop's client in the session's JVM: the file system itself says what is in them.

Spark Connect and serverless have no such JVM at hand; nothing is known there, and nothing is removed.
"""

from __future__ import annotations

from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

from spark_scoring.spark.platform import is_connect


class Folder:
    """A folder of a store.

    Args:
        spark: A session with a JVM.
        uri: The folder's URI.
    """

    def __init__(self, spark: SparkSession, uri: str) -> None:
        context: Any = spark.sparkContext
        self.uri = uri
        self._path = context._jvm.org.apache.hadoop.fs.Path(uri)
        self._system = self._path.getFileSystem(context._jsc.hadoopConfiguration())
        self._child = context._jvm.org.apache.hadoop.fs.Path

    @property
    def scheme(self) -> str:
        """The scheme of its file system, ``file`` for a disk."""
        return str(self._system.getUri().getScheme())

    @property
    def local_path(self) -> str:
        """Its path without scheme and host."""
        return str(self._path.toUri().getPath())

    def names(self, most: int = 1_000) -> list[str]:
        """Returns the names of what is in it, none where there is no such folder, and its own where it is a file.

        Args:
            most: How many at most; which ones is the store's to say.

        Raises:
            Py4JJavaError: If it can't be looked into.
        """
        found: list[str] = []
        try:
            entries = self._system.listStatusIterator(self._path)
            while len(found) < most and entries.hasNext():
                found.append(entries.next().getPath().getName())
        except Py4JJavaError as exc:
            if exc.java_exception.getClass().getSimpleName() != "FileNotFoundException":
                raise
        return found

    def holds(self, name: str) -> bool:
        """Tells whether there is a file or a folder of that name, or path, below it.

        Raises:
            Py4JJavaError: If it can't be looked into.
        """
        return bool(self._system.exists(self._child(self._path, name)))

    def touch(self, name: str) -> None:
        """Makes an empty file of that name in it."""
        self._system.create(self._child(self._path, name), True).close()

    def receive(self, local: str) -> None:
        """Makes it, of a folder of this machine, as a ``file:`` URI; what lies above it is made, too.

        Raises:
            Py4JJavaError: If it can't be written.
        """
        self._system.mkdirs(self._path.getParent())
        self._system.copyFromLocalFile(False, False, self._child(local), self._path)

    def remove(self) -> None:
        """Removes it with all that is in it, where it is there."""
        self._system.delete(self._path, True)

    def remove_if_empty(self) -> None:
        """Removes it where nothing is in it, also the marker that stands for a folder in a store without folders."""
        if not self.names(1):
            self._system.delete(self._path, False)


def folder_of(spark: SparkSession, uri: str) -> Folder | None:
    """Returns the folder of a store, or None where the session offers no way to it."""
    return None if is_connect(spark) else Folder(spark, uri)
