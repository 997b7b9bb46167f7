"""Kind `web`: pages that an office lives by, fetched by phase."""
