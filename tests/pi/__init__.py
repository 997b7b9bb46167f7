"""`make test-pi`: our LEDs on a Raspberry Pi 3B of QEMU, its registers read back from outside."""
