from django.db import migrations

from mps.base.core.database import RunSQLFile


class Migration(migrations.Migration):
    dependencies = [
        ("rpc", "0002_sql"),
    ]

    operations = [RunSQLFile("rpc", "policies")]
