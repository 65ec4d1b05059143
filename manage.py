#!/usr/bin/env python
"""Run a management command of MPS."""

import os
import sys


def main() -> None:
    """Hand the command line to Django; what is not configured is one sentence."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mps.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as refusal:
        if "--traceback" in sys.argv:
            raise
        sys.exit(str(refusal))


if __name__ == "__main__":
    main()
