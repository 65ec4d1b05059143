"""Staff sessions, which need a password and a second factor and expire automatically.

A session of the console is one that `sign_in` made; a user who is known by any other door (a
member's session, say) is nobody here. The second factors themselves are django-allauth's.
"""

from typing import Any

from django.conf import settings
from django.contrib import auth
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.http import HttpRequest
from django.utils import timezone

PENDING_SECONDS = 600
FRESH_SECONDS = 600
_BACKEND = "django.contrib.auth.backends.ModelBackend"
_PENDING = "mps_staff_pending"
_PROVED = "mps_staff_proved"
_SINCE = "mps_staff_since"
_SEEN = "mps_staff_seen"
# How often a session says that it is used; to say it each time would write at every page.
_SEEN_EVERY_SECONDS = 60


def begin(request: HttpRequest, user: User, next_url: str) -> None:
    """Remember, for ten minutes, whose password was right. Nobody is signed in by it."""
    _expect(request, user, next_url, again=False)


def ask_again(request: HttpRequest, user: User, next_url: str) -> None:
    """Expect the second factor once more, within ten minutes, of whose live session it is."""
    _expect(request, user, next_url, again=True)


def _expect(request: HttpRequest, user: User, next_url: str, *, again: bool) -> None:
    request.session.cycle_key()
    request.session[_PENDING] = {
        "user": user.pk,
        "hash": user.get_session_auth_hash(),
        "at": _now(),
        "next": next_url,
        "again": again,
    }


def pending_user(request: HttpRequest) -> User | None:
    """Return whose second factor is due; None if nobody's, or since too long ago."""
    pending: dict[str, Any] | None = request.session.get(_PENDING)
    if pending is None or not 0 <= _now() - pending["at"] <= PENDING_SECONDS:
        return None
    if pending.get("again") and not is_live(request):
        return None
    user = User.objects.filter(pk=pending["user"], is_active=True, is_staff=True).first()
    if user is None or user.get_session_auth_hash() != pending["hash"]:
        return None
    return user


def sign_in(request: HttpRequest, user: User) -> str:
    """Begin a console session; return where to go."""
    next_url: str = request.session.pop(_PENDING, {}).get("next", "")
    auth.login(request, user, backend=_BACKEND)
    request.session.set_expiry(settings.MPS_STAFF_SESSION_SECONDS)
    request.session[_SINCE] = request.session[_SEEN] = _now()
    return next_url


def is_asked_again(request: HttpRequest) -> bool:
    """Return whether the second factor is due of somebody who is signed in already."""
    return bool(request.session.get(_PENDING, {}).get("again"))


def go_on(request: HttpRequest) -> str:
    """Go on with a live session whose second factor was shown again; return where to go."""
    next_url: str = request.session.pop(_PENDING)["next"]
    request.session.cycle_key()
    return next_url


def remember_proof(request: HttpRequest) -> None:
    """Remember that the second factor was shown just now."""
    request.session[_PROVED] = _now()


def is_fresh(request: HttpRequest) -> bool:
    """Return whether the second factor was shown in this session a moment ago."""
    proved = request.session.get(_PROVED)
    return proved is not None and 0 <= _now() - proved <= FRESH_SECONDS


def is_live(request: HttpRequest) -> bool:
    """Return whether this is a console session, neither too old nor idle for too long."""
    since, seen = request.session.get(_SINCE), request.session.get(_SEEN)
    return (
        since is not None
        and seen is not None
        and 0 <= _now() - since <= settings.MPS_STAFF_SESSION_SECONDS
        and 0 <= _now() - seen <= settings.MPS_STAFF_IDLE_SECONDS
    )


def keep_alive(request: HttpRequest) -> None:
    """Remember that a live session is used."""
    if _now() - request.session[_SEEN] >= _SEEN_EVERY_SECONDS:
        request.session[_SEEN] = _now()


def end_sessions(user: User) -> None:
    """End all sessions of somebody."""
    for session in Session.objects.filter(expire_date__gt=timezone.now()).iterator():
        if session.get_decoded().get(auth.SESSION_KEY) == str(user.pk):
            session.delete()


def _now() -> float:
    return timezone.now().timestamp()
