"""`spark-scoring init`: a job file to start from, and around it, if wished, a notebook and a bundle."""
