"""The contract between probe and centre. Pure: imports nothing of ours, no I/O."""
