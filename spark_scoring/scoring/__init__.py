"""How rows are scored: by a scoring model in Python workers, or by Spark ML."""
