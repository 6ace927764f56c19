"""The application of a spark-submit; beside it lies nothing, since spark-submit puts its folder on `sys.path`."""
