"""`tramdo-probe doctor`: all that a technician would look at, each with what to do about it."""
