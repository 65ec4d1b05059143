"""What `make` does before MPS can run: the virtual environment and its packages."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.launcher.helpers import CHECKOUT

_INSTALL = CHECKOUT / "mps" / "launcher" / "install.py"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where the installer made a virtual environment in place of a broken one, and an
    older stamp.
    """
    folder = tmp_path_factory.mktemp("a checkout")
    (folder / "requirements.txt").write_text("# Nothing.\n")
    (folder / ".venv" / "bin").mkdir(parents=True)
    (folder / ".venv" / "bin" / "python").symlink_to("/no/such/python")
    answer = _install(folder, "requirements.txt", ".run-1")
    assert answer.returncode == 0, answer.stderr
    assert "Making .venv" in answer.stdout
    (folder / ".venv" / ".run-1").rename(folder / ".venv" / ".run-0")
    (folder / ".venv" / ".dev-0").touch()
    return folder


def _install(folder: Path, requirements: str, stamp: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, _INSTALL, requirements, f".venv/{stamp}"],
        check=False,
        cwd=folder,
        capture_output=True,
        text=True,
    )


def _make(*arguments: str, cwd: Path = CHECKOUT) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if "MAKE" not in name}
    return subprocess.run(
        ["make", "--file", CHECKOUT / "Makefile", *arguments],
        check=False,
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
    )


def test_install_keeps_a_working_environment_and_replaces_the_stamp(folder: Path) -> None:
    answer = _install(folder, "requirements.txt", ".run-2")

    assert answer.returncode == 0
    assert "Making" not in answer.stdout
    stamps = sorted(path.name for path in (folder / ".venv").glob(".*-*"))
    assert stamps == [".dev-0", ".run-2"]


def test_install_that_fails_leaves_no_stamp_and_says_where_to_look(folder: Path) -> None:
    (folder / "wrong.txt").write_text("./no-such-package\n")

    answer = _install(folder, "wrong.txt", ".dev-3")

    assert answer.returncode == 1
    assert "  ERROR: " in answer.stdout
    assert answer.stderr == ("The packages were not installed; .venv/install.log says why.\n")
    assert "no-such-package" in (folder / ".venv" / "install.log").read_text()
    assert not (folder / ".venv" / ".dev-3").exists()
    assert (folder / ".venv" / ".dev-0").exists()


def test_make_lists_its_targets() -> None:
    answer = _make()

    assert answer.returncode == 0
    for target in ("run", "test", "lint", "bench", "requirements", "clean"):
        assert f"make {target} " in answer.stdout


def test_make_says_that_python_is_too_old_or_missing(tmp_path: Path) -> None:
    for name in ("requirements.txt", "requirements-dev.txt"):
        (tmp_path / name).touch()

    answer = _make("run", "PYTHONS=no-such-python false", cwd=tmp_path)

    assert answer.returncode == 2
    assert answer.stderr.startswith("MPS needs Python 3.11 or newer, and none of no-such-python")


def test_make_names_the_package_that_venv_is_in(tmp_path: Path) -> None:
    for name in ("requirements.txt", "requirements-dev.txt"):
        (tmp_path / name).touch()
    # A Python without ensurepip, as Debian installs it.
    bare = tmp_path / "bare-python"
    bare.write_text(
        f'#!/bin/sh\ncase "$*" in *ensurepip*) exit 1;; esac\nexec {sys.executable} "$@"\n'
    )
    bare.chmod(0o755)

    answer = _make("run", f"PYTHONS={bare}", cwd=tmp_path)

    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert answer.returncode == 2
    assert f"apt-get install python{version}-venv" in answer.stderr
