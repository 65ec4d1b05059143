"""Errors raised by the services of cards."""

from django.utils.translation import gettext_lazy as _

from mps.base.core.errors import MpsError


class CardNotFoundError(MpsError):
    """The card does not exist or belongs to somebody else."""

    code = "CARD_NOT_FOUND"
    status = 404
    title = _("Card not found.")


class CardNotActiveError(MpsError):
    """The card is frozen, lost, suspended or closed."""

    code = "CARD_NOT_ACTIVE"
    status = 409
    title = _("The card is not active.")


class CardExpiredError(MpsError):
    """The card has expired."""

    code = "CARD_EXPIRED"
    status = 409
    title = _("The card has expired.")


class CardTypeNotShareableError(MpsError):
    """Only prepaid and corporate cards can be shared."""

    code = "CARD_TYPE_NOT_SHAREABLE"
    status = 409
    title = _("Cards of this type cannot be shared.")


class CardNotEmptyError(MpsError):
    """A card can be closed only when its balance is zero."""

    code = "CARD_NOT_EMPTY"
    status = 409
    title = _("The card has a balance. Pay it out first.")


class UnsupportedCardTypeForRechargeError(MpsError):
    """Only prepaid and corporate cards can be topped up."""

    code = "UNSUPPORTED_CARD_TYPE_FOR_RECHARGE"
    status = 409
    title = _("Cards of this type cannot be topped up.")


class UnsupportedCardTypeForPaymentError(MpsError):
    """The card type does not support this payment method."""

    code = "UNSUPPORTED_CARD_TYPE_FOR_PAYMENT"
    status = 409
    title = _("Cards of this type cannot be used with this payment method.")


class UnsupportedCardTypeForPointsError(MpsError):
    """Corporate and voucher cards have no points."""

    code = "UNSUPPORTED_CARD_TYPE_FOR_POINTS"
    status = 409
    title = _("Cards of this type have no points.")


class CannotRemoveLastOwnerError(MpsError):
    """A shared card must always have an owner."""

    code = "CANNOT_REMOVE_LAST_OWNER"
    status = 409
    title = _("The last owner of a card cannot be removed.")


class InvalidBindingPasswordError(MpsError):
    """The card's binding password is wrong, or the card has none."""

    code = "INVALID_BINDING_PASSWORD"
    status = 403
    title = _("The binding password is incorrect.")


class CodeExpiredOrInvalidError(MpsError):
    """The payment code is expired, used, revoked or unknown. The caller is not told which."""

    code = "QR_EXPIRED_OR_INVALID"
    status = 409
    title = _("The payment code has expired or is not valid. Ask for a new one.")


class VoucherNotApplicableError(MpsError):
    """The voucher is used, not valid at this shop, below its minimum spend, or not a voucher."""

    code = "VOUCHER_NOT_APPLICABLE"
    status = 409
    title = _("The voucher does not apply to this payment.")
