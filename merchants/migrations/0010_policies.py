from django.db import migrations

from mps.base.core.database import RunSQLFile


class Migration(migrations.Migration):
    dependencies = [
        ("merchants", "0003_webhooks"),
        ("ledger", "0010_policies"),
    ]

    operations = [RunSQLFile("merchants", "policies")]
