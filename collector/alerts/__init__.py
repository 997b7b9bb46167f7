"""What somebody must look at: judged from the store, told once, and once when it is over."""
