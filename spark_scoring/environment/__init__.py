"""A model's Python packages: compared with those that are there, or packed for workers that have none."""
