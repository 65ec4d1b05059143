"""Limit how many unknown codes a till can try.

Only a code that was never issued is a guess. A till that shows one is remembered with its terminal
for two minutes, and until then each code it shows is counted before it is looked up, and given back
if it was issued. Every other till is charged no round trip for this: what it did lately comes with
its authentication. So of codes nobody ever had, a terminal gets the first looked up whatever
happens (with what it has under way beside it), and then no more than the limits allow.

Rules: docs/rules.md#guessing.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from django.db import connection

from cards.errors import CodeExpiredOrInvalidError
from merchants.selectors import Till
from mps.base.core import db_scope, throttle
from mps.base.core.throttle import Guess

_MINUTE = 60
PER_TERMINAL = 20
PER_MERCHANT = 100


@contextmanager
def counting(till: Till, *codes: Sequence[bytes]) -> Iterator[None]:
    """Run what looks codes up; count it against the till if one of them was never issued.

    A trusted backend, which has no terminal, is not counted.

    :param codes: what each code shown may be stored as.
    :raises RateLimitedError: the till guessed too often; nothing was looked up.
    """
    if till.terminal_id is None:
        yield
        return
    guesses = [
        Guess("till:terminal", till.terminal_id, PER_TERMINAL, _MINUTE),
        Guess("till:merchant", till.merchant_id, PER_MERCHANT, _MINUTE),
    ]
    if till.guessed_lately:
        throttle.count_guesses(guesses)
    guessed = False
    try:
        yield
    except CodeExpiredOrInvalidError:
        guessed = _note_guess(till, codes)
        raise
    finally:
        if guessed and not till.guessed_lately:
            throttle.count_guesses(guesses)
        if till.guessed_lately and not guessed:
            throttle.give_guesses_back(guesses)


def _note_guess(till: Till, codes: Sequence[Sequence[bytes]]) -> bool:
    """Return whether one of the codes was never issued, and remember it if so."""
    with (
        db_scope.principal_scope("merchant_api", till.merchant_id),
        connection.cursor() as cursor,
    ):
        for hashes in codes:
            cursor.execute("SELECT cards_code_was_issued(%s::bytea[])", [list(hashes)])
            if not cursor.fetchone()[0]:
                cursor.execute("SELECT merchants_note_guess(%s)", [till.terminal_id])
                return True
    return False
