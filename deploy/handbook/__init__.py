"""What is printed for people: the wiring plan and the office's card, from the same settings."""
