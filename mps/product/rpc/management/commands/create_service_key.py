"""`manage.py create_service_key --name X`: create a key for a trusted backend, shown once."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from mps.base.core import commands
from mps.product.rpc import services


class Command(BaseCommand):
    """Make a service key."""

    help = "Make a key for a trusted backend; prints one JSON line with its id, name and key."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the name."""
        parser.add_argument("--name", required=True, help="by whom it is used, e.g. shop-backend")

    def handle(self, *args: Any, **options: Any) -> None:
        """Make it and print it."""
        with commands.refusals_as_sentences():
            key, text = services.create_service_key(name=options["name"])
        self.stdout.write(
            json.dumps({"service_key_id": str(key.id), "name": key.name, "key": text})
        )
