"""Scheduled jobs for payment codes."""

from cards import rotation
from mps.base.core.jobs import job


@job("cards.rotate_codes")
def rotate_codes() -> int:
    """Give the codes of shared cards successors of 300 s; meant for every five minutes."""
    return rotation.rotate_codes()


@job("cards.drop_code_history")
def drop_code_history() -> int:
    """Let go of past codes older than 30 days; meant for every week."""
    return len(rotation.drop_code_history())
