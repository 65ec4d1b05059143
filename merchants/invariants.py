"""Invariants of webhooks that no foreign key enforces."""

from mps.base.core.invariants import Invariant, register

register(
    Invariant(
        "each webhook delivery has its event and an endpoint of the same shop",
        """SELECT d.id::text FROM merchants_webhookdelivery d
           LEFT JOIN merchants_webhookevent v ON v.id = d.event_id
           LEFT JOIN merchants_webhookendpoint e ON e.id = d.endpoint_id
           WHERE v.merchant_id IS DISTINCT FROM e.merchant_id OR v.id IS NULL""",
    ),
    Invariant(
        "each webhook event belongs to a shop",
        """SELECT v.id::text FROM merchants_webhookevent v
           WHERE NOT EXISTS (SELECT FROM merchants_merchant m WHERE m.id = v.merchant_id)""",
    ),
)
