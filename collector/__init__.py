"""The centre: intake, store, receipts, pages."""
