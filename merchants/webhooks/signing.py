"""Derive webhook secrets and sign webhooks as Standard Webhooks specifies.

No secret is stored. One is made of the endpoint's id, the secret's number and a key that is in the
server's environment: who has only the database can sign nothing.
"""

import base64
import hmac
from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from standardwebhooks import Webhook

from mps.base.core import keys


def newest_key_id() -> str:
    """Return the id of the key that new secrets are made of."""
    return next(iter(keys.webhook_keys()))


def derive_secret(*, endpoint_id: UUID, version: int, key_id: str) -> str | None:
    """Return an endpoint's secret, `whsec_…`; None if its key is no longer configured."""
    key = keys.webhook_keys().get(key_id)
    if key is None:
        return None
    what = b"mps/webhook-secret" + endpoint_id.bytes + version.to_bytes(4, "big")
    return "whsec_" + base64.b64encode(hmac.digest(key, what, "sha256")).decode()


def sign(*, event_id: UUID, sent_at: datetime, body: str, secrets: Iterable[str]) -> dict[str, str]:
    """Return the headers of a message, with a signature for each secret.

    :param sent_at: of this attempt, in UTC; a receiver refuses one that is minutes away from now.
    """
    return {
        "webhook-id": str(event_id),
        "webhook-timestamp": str(int(sent_at.timestamp())),
        "webhook-signature": " ".join(
            Webhook(secret).sign(str(event_id), sent_at, body) for secret in secrets
        ),
    }
