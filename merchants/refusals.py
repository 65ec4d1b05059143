"""Why merchants' operations may refuse, beside what all operations share."""

REFUSALS = {
    "change_webhook_endpoint": "PERMISSION_DENIED",
    "create_webhook_endpoint": "PERMISSION_DENIED",
}
