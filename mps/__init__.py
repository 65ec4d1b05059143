"""Member Payment System."""

# The one place of the version; CHANGELOG.md says what each brought.
__version__ = "1.0.0"
