"""A packaged job: the scoring model as a model of MLflow's own, which takes requests and answers each row.

Like all of `worker` it imports neither pyspark nor the rest of the package: it runs where there is only MLflow and what
the model needs.
"""
