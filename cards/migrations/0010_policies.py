from django.db import migrations

from mps.base.core.database import RunSQLFile


class Migration(migrations.Migration):
    dependencies = [
        ("cards", "0003_tiers"),
        ("ledger", "0010_policies"),
    ]

    operations = [RunSQLFile("cards", "policies")]
