"""Users of the centre: roles, passwords, sessions, and the audit trail."""
