"""Kind `http`: ping, jitter, download and upload over HTTP, as i-Speed measures."""
