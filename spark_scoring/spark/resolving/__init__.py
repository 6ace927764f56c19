"""The program that finds jars; beside it lies nothing, since spark-submit puts its folder on `sys.path`."""
