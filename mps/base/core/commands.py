"""Shared behaviour of management commands: errors are one sentence on stderr and exit status 1.

Jobs done by hand go through the same frame as the worker's.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import psycopg
from django.core.management.base import BaseCommand, CommandError, OutputWrapper

from mps.base.core import errors, jobs, problems


@contextmanager
def refusals_as_sentences() -> Iterator[None]:
    """Let a refusal end the command with one sentence instead of a traceback.

    :raises CommandError: in place of any error the API would answer with.
    """
    try:
        yield
    except Exception as exception:
        error = problems.as_mps_error(exception)
        if error is None or _is_away(exception):
            raise
        raise CommandError(say(error)) from exception


def _is_away(exception: Exception) -> bool:
    """Return whether there is no database to ask; `manage.py` says where it was looked for."""
    cause = exception.__cause__
    return isinstance(cause, psycopg.OperationalError) and cause.sqlstate is None


def say(error: errors.MpsError) -> str:
    """Return an error as a sentence: the wrong fields where it names them, else what it says."""
    return fields_of(error) or error.detail


def fields_of(error: errors.MpsError, *, name_of: Callable[[str], str] = str) -> str:
    """Return `field: what is wrong with it` for each wrong field; empty if it names none.

    :param name_of: what whoever reads it calls a field.
    """
    return "; ".join(
        f"{name_of(name)}: {' '.join(texts)}" for name, texts in (error.errors or {}).items()
    )


def run_job(name: str, work: Callable[[], jobs.Result]) -> jobs.Result:
    """Do a job by hand, in the frame the worker does it in; return its result.

    :raises CommandError: the job is running already, or refused.
    """
    with refusals_as_sentences():
        ran = jobs.run(name, work, actor=f"manage.py {name}")
    if not ran.started:
        raise CommandError(f"{name} is running already; nothing was done.")
    return ran.result


def purge(
    command: BaseCommand,
    name: str,
    work: Callable[[], Iterable[int]],
    *,
    count: Callable[[], int],
    dry_run: bool,
) -> None:
    """Do a job that deletes in batches, by hand; say how far it is and how many went.

    :param work: yields how many have gone so far.
    :param count: how many there are to go.
    :param dry_run: only count.
    """
    total = count()
    if dry_run:
        command.stdout.write(f"{total} would be deleted.")
        return

    def work_and_show() -> int:
        done = 0
        with progress(command.stderr, "rows") as show:
            for done in work():
                show(done, total)
        return done

    command.stdout.write(f"{run_job(name, work_and_show)} deleted.")


@contextmanager
def progress(stream: OutputWrapper, unit: str) -> Iterator[Callable[[int, int], None]]:
    """Yield what draws a bar, `show(done, total)`, on a terminal;

    Nothing elsewhere, where a log would fill with it.
    """
    shown = stream.isatty()

    def show(done: int, total: int) -> None:
        if shown:
            total = max(done, total)
            filled = 40 * done // total if total else 40
            bar = "#" * filled + "." * (40 - filled)
            stream.write(f"\r[{bar}] {done:,} of {total:,} {unit}", ending="")
            stream.flush()

    yield show
    if shown:
        stream.write("")
