from django.db import migrations

from mps.base.core.database import RunSQLFile


class Migration(migrations.Migration):
    dependencies = [
        ("core", "0003_guesses"),
    ]

    operations = [RunSQLFile("core", "policies")]
