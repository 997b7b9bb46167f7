"""What a person sees of the probe: status and LEDs."""
