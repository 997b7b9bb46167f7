"""From the outbox to the centre, until a receipt covers it."""
