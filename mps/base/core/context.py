"""The current actor and its address in a request, job or command.

Set at the edge, read by the audit log.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Literal

ActorType = Literal[
    "anonymous", "member", "terminal", "service", "staff", "merchant_user", "system"
]


@dataclass(frozen=True, slots=True)
class Context:
    """Who acts:

    `actor` is a public name (member number, terminal id, key name, user name), never a secret.
    """

    actor_type: ActorType = "system"
    actor: str = "mps"
    request_id: str = ""
    address: str = ""


_SYSTEM = Context()
_context: ContextVar[Context] = ContextVar("mps_context", default=_SYSTEM)


def current() -> Context:
    """Return who acts now; outside requests that is the system itself."""
    return _context.get()


def set_actor(actor_type: ActorType, actor: str) -> None:
    """Name the actor of the current request once it is known."""
    _context.set(replace(_context.get(), actor_type=actor_type, actor=actor))


@contextmanager
def acting(
    actor_type: ActorType, actor: str, *, request_id: str | None = None, address: str = ""
) -> Iterator[Context]:
    """Act as somebody inside the block."""
    context = Context(
        actor_type, actor, request_id if request_id is not None else new_request_id(), address
    )
    token = _context.set(context)
    try:
        yield context
    finally:
        _context.reset(token)


def new_request_id() -> str:
    """Return a fresh request id: 32 hexadecimal digits."""
    return uuid.uuid4().hex
