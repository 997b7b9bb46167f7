"""The certificate authority of one tenant: `tramdo-authority`."""
