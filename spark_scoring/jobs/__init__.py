"""The job file: its keys, how it is read, and what is said of one that is not valid."""
