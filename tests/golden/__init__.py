"""Tables and runs that version 0.1 left behind, as they lay on the disk: what a later version must go on from.

`jobs` says which job each folder of ``left.tar.gz`` belongs to. Paths are part of a job's identity, so the archive is
unpacked to the one place where it was made.
"""
