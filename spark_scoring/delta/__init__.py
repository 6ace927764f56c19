"""Delta tables: what one is, its history, and one commit to it."""
