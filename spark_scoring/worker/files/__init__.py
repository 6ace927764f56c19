"""What reads files on the executors: it travels inside the function that Spark calls.

Like all of `worker` it imports neither pyspark nor the rest of the package.
"""
