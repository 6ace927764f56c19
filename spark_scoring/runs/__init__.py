"""A run: what was asked for, the plan of it, and the run itself."""
