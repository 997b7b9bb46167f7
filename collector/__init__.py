"""The centre: ingest, store, receipts, pages."""
