"""What management commands share: a refusal is one sentence on stderr and exit status 1."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.core.management.base import CommandError

from mps.core import errors, problems


@contextmanager
def refusals_as_sentences() -> Iterator[None]:
    """Let a refusal end the command with one sentence instead of a traceback.

    :raises CommandError: in place of any error the API would answer with.
    """
    try:
        yield
    except Exception as exception:
        error = problems.as_mps_error(exception)
        if error is None:
            raise
        raise CommandError(say(error)) from exception


def say(error: errors.MpsError) -> str:
    """Return an error as a sentence: the wrong fields where it names them, else what it says."""
    return fields_of(error) or error.detail


def fields_of(error: errors.MpsError) -> str:
    """Return `field: what is wrong with it` for each wrong field; empty if it names none."""
    return "; ".join(f"{name}: {' '.join(texts)}" for name, texts in (error.errors or {}).items())
