"""Console pages of payments, and payment sections on other pages."""

from payments import card_admin, topup_admin, transaction_admin  # noqa: F401
