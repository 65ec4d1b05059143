"""The console's pages of payments, and what payments add to the pages of others."""

from payments import card_admin, topup_admin, transaction_admin  # noqa: F401
