"""Kind `latency`: round-trip times by STAMP and ICMP echo, window after window."""
