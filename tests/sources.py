"""The repository's own text files, for tests that look at all of them."""

import os
from collections.abc import Iterator
from pathlib import Path

from tests.servers import ROOT

_SUFFIXES = {
    *(".py", ".sql", ".md", ".html", ".txt", ".js", ".css", ".toml", ".yaml", ".po"),
    *(".ini", ".cfg", ".webmanifest"),
}
_NAMES = {"Makefile", "Dockerfile", "run", ".env.example", ".dockerignore", ".gitignore"}
# Made by running, or written by others.
_LEFT_OUT = {"__pycache__", "vendor", "htmlcov", "staticfiles", "results", "node_modules"}


def own_files(*suffixes: str) -> Iterator[Path]:
    """Yield the files, or those with one of these endings.

    Hidden folders are left out, but for that of the continuous integration.
    """
    for folder, folders, names in os.walk(ROOT):
        folders[:] = sorted(
            each
            for each in folders
            if each not in _LEFT_OUT and (not each.startswith(".") or each == ".ci")
        )
        for name in sorted(names):
            file = Path(folder, name)
            is_ours = name in _NAMES or (file.suffix in _SUFFIXES and ".min." not in name)
            if is_ours and (not suffixes or file.suffix in suffixes):
                yield file
