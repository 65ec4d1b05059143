#!/usr/bin/env python
"""Run a management command of MPS."""

import os
import sys


def main() -> None:
    """Hand the command line to Django; what is not configured or not there is one sentence."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mps.settings")
    import django.db
    import psycopg
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
    except (ImproperlyConfigured, django.db.OperationalError, psycopg.OperationalError) as refusal:
        if "--traceback" in sys.argv:
            raise
        is_database = not isinstance(refusal, ImproperlyConfigured)
        hint = " (`make run` starts one.)" if is_database and "refused" in str(refusal) else ""
        sys.exit(f"{'The database: ' if is_database else ''}{refusal}".strip() + hint)


if __name__ == "__main__":
    main()
