"""The job file: its keys, how it is read, and the messages for one that is not valid."""
