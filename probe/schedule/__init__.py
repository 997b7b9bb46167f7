"""The schedule: fires planned slots, queues them, and decides when each may run."""
