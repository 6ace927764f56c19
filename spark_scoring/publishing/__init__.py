"""How scored rows come into the target: directly, or through a staging table and its checks."""
