"""The pages of the base's own tables, which know no console."""

from mps.base.console.admin import approvals, audit, jobs, ledger

__all__ = ["approvals", "audit", "jobs", "ledger"]
