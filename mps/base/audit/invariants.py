"""Invariants of the audit log."""

from mps.base.core.invariants import Invariant, register

register(
    Invariant(
        "the audit chain verifies",
        """SELECT concat_ws(': ', 'seal ' || seal, 'event ' || event_id, wrong)
           FROM audit_check_seals(1, 9223372036854775807)
           UNION ALL
           SELECT concat_ws(': ', 'event ' || event_id, wrong)
           FROM audit_check_unsealed('00000000-0000-0000-0000-000000000000')""",
    )
)
