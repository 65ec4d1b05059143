"""Errors specific to the operations of merchants, besides those all operations share."""

REFUSALS = {
    "change_webhook_endpoint": "PERMISSION_DENIED",
    "create_webhook_endpoint": "PERMISSION_DENIED",
}
