from django.db import migrations

from mps.base.core.database import RunSQLFile


class Migration(migrations.Migration):
    dependencies = [
        ("watch", "0002_sql"),
    ]

    operations = [RunSQLFile("watch", "policies")]
