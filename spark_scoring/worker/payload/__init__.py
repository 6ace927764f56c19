"""What reads requests on the executors: it travels inside the function that Spark calls.

Like all of `worker` it imports neither pyspark nor the rest of the package.
"""

# The columns that the rows of requests have beside the model's inputs: the file, the request in it, the row in that.
PLACE_COLUMNS = ("_file", "_request", "_row")
