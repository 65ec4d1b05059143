"""Real processes that settle, to be killed. Forked from one that has loaded the program, so that
each is there in no time.
"""

import multiprocessing
from dataclasses import dataclass
from io import StringIO
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess

import django
from django.apps import apps

if not apps.ready:
    django.setup()

from django.core.management import call_command
from django.db import connections

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload([__name__])


@dataclass(frozen=True)
class Worker:
    """A process that settles a day, and the id of its database session."""

    process: ForkServerProcess
    session: int

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.join()
        assert self.process.exitcode == -9, "it was through already"

    def finish(self) -> None:
        """Let it come to its end, without an error."""
        self.process.join(120)
        assert self.process.exitcode == 0


def start(database: str, day: str) -> Worker:
    """Start a process that runs `manage.py settle` for a day."""
    here, there = _forks.Pipe(duplex=False)
    process = _forks.Process(target=_settle, args=(database, day, there), daemon=True)
    process.start()
    there.close()
    assert here.poll(60), "no worker came up"
    return Worker(process, here.recv())


def _settle(database: str, day: str, report: Connection) -> None:
    connection = connections["default"]
    connection.settings_dict["NAME"] = database
    connection.ensure_connection()
    report.send(connection.connection.info.backend_pid)
    call_command("settle", "--mode", "t_plus_1", "--date", day, stdout=StringIO())
