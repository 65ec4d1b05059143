from django.db import migrations

from mps.base.core.database import RunSQLFile


class Migration(migrations.Migration):
    dependencies = [("core", "0002_jobs")]
    operations = [RunSQLFile("core", "0003")]
