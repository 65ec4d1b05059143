"""Beat's schedule: written into the database once, and from there on the staff's."""

from typing import Any

from django_celery_beat import schedulers
from django_celery_beat.models import PeriodicTask

# The framework's own, of which ours are made.
_Entry: Any = schedulers.ModelEntry
_Scheduler: Any = schedulers.DatabaseScheduler


class Entry(_Entry):  # type: ignore[misc]
    """A job and when it runs."""

    @classmethod
    def from_entry(cls, name: str, app: Any = None, **entry: Any) -> Any:
        """Return the job `name` as it is in the database; only a new one is made of the settings.

        The framework's own would take the settings' times again at each start of beat, whatever
        staff had changed in the console.
        """
        known = PeriodicTask.objects.filter(name=name).first()
        if known is not None:
            return cls(known, app=app)
        return super().from_entry(name, app=app, **entry)


class Scheduler(_Scheduler):  # type: ignore[misc]
    """Beat with the database's schedule."""

    Entry = Entry
