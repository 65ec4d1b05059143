from django.db import migrations

from mps.base.core.database import RunSQLFile


class Migration(migrations.Migration):
    dependencies = [
        ("members", "0003_one_time_codes"),
    ]

    operations = [RunSQLFile("members", "policies")]
