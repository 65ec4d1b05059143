"""The console with somebody signed in, and a little of everything to look at."""

from tests.console.conftest import boss, console, world  # noqa: F401 -- fixtures
