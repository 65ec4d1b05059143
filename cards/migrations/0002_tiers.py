"""The tiers to begin with; staff change them in the console."""

from django.db import migrations

# code, name, level, points from, rate
TIERS = [
    ("ordinary", "Ordinary", 0, 0, "1.00"),
    ("silver", "Silver", 1, 1000, "0.95"),
    ("gold", "Gold", 2, 5000, "0.90"),
    ("diamond", "Diamond", 3, 10000, "0.85"),
]


def create_tiers(apps, schema_editor):
    Tier = apps.get_model("cards", "Tier")
    for code, name, level, min_points, rate in TIERS:
        Tier.objects.using(schema_editor.connection.alias).create(
            code=code, name=name, level=level, min_points=min_points, rate=rate
        )


class Migration(migrations.Migration):
    dependencies = [("cards", "0001_initial")]
    operations = [migrations.RunPython(create_tiers)]
