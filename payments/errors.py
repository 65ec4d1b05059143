"""Errors raised by the services of payments."""

from django.utils.translation import gettext_lazy as _

from mps.base.core.errors import MpsError


class IdempotencyKeyRequiredError(MpsError):
    """Charges, refunds and top-ups require an `Idempotency-Key` of 1 to 255 printable ASCII
    characters.
    """

    code = "IDEMPOTENCY_KEY_REQUIRED"
    status = 400
    title = _("Send an Idempotency-Key of 1 to 255 printable ASCII characters.")


class IdempotencyKeyReusedError(MpsError):
    """The key was already used for a different request."""

    code = "IDEMPOTENCY_KEY_REUSED"
    status = 422
    title = _("This Idempotency-Key was already used for a different request.")


class AwaitingMemberError(MpsError):
    """The payment is above the threshold and waits for its member. No money has moved yet."""

    code = "AWAITING_MEMBER"
    status = 202
    title = _("The member must approve this payment. Retry with the same Idempotency-Key.")


class ApprovalDeclinedError(MpsError):
    """The member declined the payment."""

    code = "APPROVAL_DECLINED"
    status = 409
    title = _("The member declined this payment.")


class ApprovalExpiredError(MpsError):
    """The member did not approve the payment in time."""

    code = "APPROVAL_EXPIRED"
    status = 409
    title = _("The member did not approve this payment in time.")


class InsufficientBalanceError(MpsError):
    """The card's balance is too low."""

    code = "INSUFFICIENT_BALANCE"
    status = 402
    title = _("Insufficient balance.")


class LimitExceededError(MpsError):
    """The payment exceeds a limit per payment or per day, or the top-up exceeds the maximum
    balance.
    """

    code = "LIMIT_EXCEEDED"
    status = 402
    title = _("A limit was exceeded.")


class OriginalTxNotFoundError(MpsError):
    """This shop has no such payment."""

    code = "ORIGINAL_TX_NOT_FOUND"
    status = 404
    title = _("Payment not found.")


class OnlyCompletedPaymentRefundableError(MpsError):
    """The transaction is not a payment, failed, or is already refunded in full."""

    code = "ONLY_COMPLETED_PAYMENT_REFUNDABLE"
    status = 409
    title = _("Only a completed payment can be refunded.")


class RefundExceedsRemainingError(MpsError):
    """The refund is larger than the remaining amount of the payment."""

    code = "REFUND_EXCEEDS_REMAINING"
    status = 409
    title = _("The refund exceeds the amount that can still be refunded.")


class OrderAmountMismatchError(MpsError):
    """The order was already paid with a different amount."""

    code = "ORDER_AMOUNT_MISMATCH"
    status = 409
    title = _("This order was already paid with a different amount.")


class OrderReversedError(MpsError):
    """The order was reversed and cannot be paid any more."""

    code = "ORDER_REVERSED"
    status = 409
    title = _("This order was reversed.")
