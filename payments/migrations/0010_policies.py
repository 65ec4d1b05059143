from django.db import migrations

from mps.base.core.database import RunSQLFile


class Migration(migrations.Migration):
    dependencies = [
        ("payments", "0003_topups"),
        ("cards", "0010_policies"),
    ]

    operations = [RunSQLFile("payments", "policies")]
