"""Where short messages land."""

from typing import ClassVar


class Outbox:
    """A way to send that keeps what was sent."""

    BACKEND = "tests.outbox.Outbox"
    sent: ClassVar[list[tuple[str, str]]] = []

    def send(self, *, to: str, text: str) -> None:
        """Keep it."""
        self.sent.append((to, text))
