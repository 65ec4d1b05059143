from django.db import migrations

from mps.core.database import RunSQLFile


class Migration(migrations.Migration):
    dependencies = [
        ("watch", "0002_sql"),
    ]

    operations = [RunSQLFile("watch", "policies")]
