"""Kind `throughput`: TCP throughput by iperf3 in a child process."""
