from django.db import migrations

from mps.base.core.database import RunSQLFile


class Migration(migrations.Migration):
    dependencies = [
        ("audit", "0002_seal"),
    ]

    operations = [RunSQLFile("audit", "policies")]
