"""Roll-ups: mergeable summaries by line and hour, day, month; all that pages and reports read."""
