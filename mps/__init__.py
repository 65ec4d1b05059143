"""Member Payment System."""
