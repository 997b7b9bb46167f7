"""From the broker into the store: validation, rate limit, pipeline, receipts."""
