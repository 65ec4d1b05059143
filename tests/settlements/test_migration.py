"""The app's SQL goes in and comes out again."""

from django.core.management import call_command
from django.db import connections

from tests import factories
from tests.settlements import helpers


def test_reversing_leaves_what_was_claimed_unclaimed(unchecked_database: str) -> None:
    member, _ = factories.make_member()
    till = factories.make_till()
    helpers.pay(till, factories.make_prepaid(member, "100.00"), member, "10.00")
    helpers.settle(till)

    call_command("migrate", "settlements", "zero", database="owner", verbosity=0)

    assert helpers.count("payments_unclaimed") == 1
    with connections["owner"].cursor() as cursor:
        cursor.execute(
            "SELECT to_regclass('settlements_line'), to_regclass('report.settlements'),"
            " to_regclass('report.transactions')"
        )
        assert cursor.fetchone() == (None, None, None)
    call_command("migrate", "settlements", database="owner", verbosity=0)
    assert helpers.settle(till).tx_count == 1
