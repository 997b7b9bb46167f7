"""The daemon on the Raspberry Pi."""
