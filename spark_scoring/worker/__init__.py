"""What runs on the executors: the scoring model.

This folder is copied into every scoring model under a name that carries its digest, so it imports neither pyspark nor
the rest of the package, and only relatively within itself.
"""
