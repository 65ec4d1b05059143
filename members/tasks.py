"""Scheduled jobs for sign-in data."""

from uuid import UUID

from celery import shared_task

from members import messages, onetime, retention
from mps.base.core import context
from mps.base.core.jobs import job
from mps.base.core.retention import last_of


@job("members.purge_tokens")
def purge_tokens() -> int:
    """Forget tokens that ran out long ago; meant for every day."""
    return last_of(retention.purge_tokens())


@shared_task(  # type: ignore[untyped-decorator]
    name=onetime.SEND_TASK,
    autoretry_for=(messages.NotSentError,),
    max_retries=3,
    retry_backoff=2,
    expires=onetime.TTL_SECONDS,
)
def send_code(code_id: str, language: str | None = None) -> None:
    """Send a one-time code; which, the worker works out itself."""
    with context.acting("system", onetime.SEND_TASK):
        onetime.deliver_code(UUID(code_id), language=language)
