"""Every label of the pages, in Vietnamese and English, as data."""
