"""A job as a model of MLflow's own: what it scores a table with answers requests, too."""
