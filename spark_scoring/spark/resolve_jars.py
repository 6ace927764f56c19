"""A program for spark-submit: writes down the files of the packages that it was started with, and starts no Spark."""

import sys
from pathlib import Path

from pyspark import SparkConf
from pyspark.java_gateway import launch_gateway

if __name__ == "__main__":
    conf = SparkConf(_jvm=launch_gateway().jvm)
    Path(sys.argv[1]).write_text(conf.get("spark.jars", "") or "", encoding="utf-8")
