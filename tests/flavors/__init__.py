"""The models that people log: each a case that a test scores, and a line of the table in docs/models.md.

``python -m tests.flavors`` prints that table.
"""
