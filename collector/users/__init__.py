"""Who may change something at the centre: people, passwords, sessions, and what they did."""
