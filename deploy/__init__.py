"""What is deployed around probe and centre; the demo that runs it all on one machine."""
