"""Job files from what other tools are configured with."""
