"""What each kind of result holds: a file a kind. The table of them is in `wire.result`."""
