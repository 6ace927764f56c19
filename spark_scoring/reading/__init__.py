"""What is read: tables, queries, files and requests; whole, only what is new, or what was quarantined."""
