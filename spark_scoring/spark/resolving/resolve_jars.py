"""A program for spark-submit: writes down the files of the packages that it was started with, and starts no Spark."""

import sys
from pathlib import Path
from typing import Any

from pyspark import SparkConf
from pyspark.java_gateway import launch_gateway

if __name__ == "__main__":
    start: Any = launch_gateway
    conf = SparkConf(_jvm=start().jvm)
    Path(sys.argv[1]).write_text(conf.get("spark.jars", "") or "", encoding="utf-8")
