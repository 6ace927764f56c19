"""What runs on the executors: the scoring model.

This folder is copied into every scoring model under a name that carries its digest, so it imports neither pyspark nor
the rest of the package, and only relatively within itself.
"""

# The columns that the rows of requests have beside the model's inputs: the file, the request in it, the row in that.
PLACE_COLUMNS = ("_file", "_request", "_row")
