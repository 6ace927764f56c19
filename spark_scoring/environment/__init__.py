"""A model's Python packages: compared with the installed ones, or packed for workers that have none."""
