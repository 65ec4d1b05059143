"""Passkeys that are not what they should be, at the members' door and the staff's.

allauth and fido2 take apart what a passkey says as if it were well formed; anything may come.
"""

import logging
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from allauth.mfa.adapter import get_adapter
from cryptography.exceptions import InvalidSignature

_logger = logging.getLogger(__name__)
_ODD_CREDENTIAL = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    InvalidSignature,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
)


@contextmanager
def odd_is_wrong() -> Iterator[None]:
    """Take what cannot be taken apart for a wrong passkey.

    :raises ValidationError: it could not.
    """
    try:
        yield
    except _ODD_CREDENTIAL as error:
        _logger.info("odd passkey: %s", type(error).__name__)
        raise get_adapter().validation_error("incorrect_code") from None
