"""The version stands in one place, and what it brings in another."""

import re
from pathlib import Path

from django.conf import settings

import mps


def test_the_changelog_begins_with_this_version() -> None:
    text = Path(settings.BASE_DIR, "CHANGELOG.md").read_text()

    newest = re.search(r"^## (\d+\.\d+\.\d+)", text, flags=re.MULTILINE)

    assert newest is not None
    assert newest[1] == mps.__version__
    assert settings.SPECTACULAR_SETTINGS["VERSION"] == mps.__version__


def test_the_version_is_written_down_once() -> None:
    project = Path(settings.BASE_DIR, "pyproject.toml").read_text()

    assert 'dynamic = ["version"]' in project
    assert mps.__version__ not in project
