"""The whole system on one machine: `make demo`."""
