"""Networks with a known truth, shared by tests, demo and benchmarks."""
