"""Which model scores: one version, pinned, with its metadata and its files."""
