from django.db import migrations

from mps.base.core.database import RunSQLFile


class Migration(migrations.Migration):
    initial = True
    operations = [RunSQLFile("core", "0001")]
