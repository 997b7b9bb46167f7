"""What keeps a fleet behind NAT alive: seeds, enrolment, signed releases, pulled and taken back."""
