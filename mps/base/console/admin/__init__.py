"""Console pages of the base's own tables, so that their apps do not depend on the console."""

from mps.base.console.admin import approvals, audit, jobs, ledger

__all__ = ["approvals", "audit", "jobs", "ledger"]
