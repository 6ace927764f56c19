"""What is written down of a run: a row in the runs table, and on demand an MLflow run."""
