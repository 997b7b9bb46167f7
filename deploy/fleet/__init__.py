"""Fleet management behind NAT: seeds, enrolment, signed releases, roll-back."""
