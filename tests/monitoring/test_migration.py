"""The app's SQL goes in and comes out again."""

from django.core.management import call_command

from mps.product.monitoring import services
from tests.snapshots import fetch


def test_reversing_leaves_nothing_behind(database: str) -> None:
    objects = "SELECT count(*) FROM pg_class WHERE relname LIKE 'watch\\_%%'"
    functions = "SELECT count(*) FROM pg_proc WHERE proname LIKE 'watch\\_%%'"
    assert fetch(objects) > 0

    call_command("migrate", "watch", "zero", database="owner", verbosity=0)

    assert (fetch(objects), fetch(functions)) == (0, 0)
    call_command("migrate", "watch", database="owner", verbosity=0)
    assert services.check_health() == []
