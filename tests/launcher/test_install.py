"""What `make` does before MPS can run: the virtual environment and its packages."""

import functools
import hashlib
import http.server
import os
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
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


def _install(
    folder: Path, requirements: str, stamp: str, *, index: str = ""
) -> subprocess.CompletedProcess[str]:
    # Only what is asked of the index here: no settings of this machine, no other place to look.
    ours = {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": index, "PIP_RETRIES": "1"}
    return subprocess.run(
        [sys.executable, _INSTALL, requirements, f".venv/{stamp}"],
        check=False,
        cwd=folder,
        env=None if not index else {**os.environ, "PIP_NO_CACHE_DIR": "1", **ours},
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


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A package index on this machine: `plugin` asks for `library[fast]`, which asks for `engine`;
    of both there is a newer release than the one a lock would have pinned.
    """
    root = tmp_path_factory.mktemp("index")
    for name, version, needs in (
        ("plugin", "1.0", ["library[fast]>=1.0"]),
        ("library", "1.0", ["engine>=1.0; extra == 'fast'"]),
        ("library", "2.0", ["engine>=2.0; extra == 'fast'"]),
        ("engine", "1.0", []),
        ("engine", "2.0", []),
    ):
        _make_wheel(root / name, name, version, needs)
    handler = functools.partial(_QuietHandler, directory=str(root))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield root, f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


class _QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        """Keep the requests out of the test's output."""


def _make_wheel(folder: Path, name: str, version: str, needs: list[str]) -> None:
    folder.mkdir(exist_ok=True)
    extras = sorted({need.split("'")[1] for need in needs if "extra ==" in need})
    metadata = [
        "Metadata-Version: 2.1",
        f"Name: {name}",
        f"Version: {version}",
        *(f"Provides-Extra: {extra}" for extra in extras),
        *(f"Requires-Dist: {need}" for need in needs),
    ]
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"version = {version!r}\n",
        f"{info}/METADATA": "\n".join(metadata) + "\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for path, content in files.items():
            wheel.writestr(path, content)


def _pin(root: Path, *pins: str) -> str:
    lines = []
    for pin in pins:
        name, _, version = pin.partition("==")
        wheel = root / name / f"{name}-{version}-py3-none-any.whl"
        digest = hashlib.sha256(wheel.read_bytes() if wheel.exists() else b"").hexdigest()
        lines.append(f"{pin} \\\n    --hash=sha256:{digest}\n")
    return "".join(lines)


def _uninstall(folder: Path) -> None:
    python = folder / ".venv" / "bin" / "python"
    command = [python, "-m", "pip", "uninstall", "--yes", "plugin", "library", "engine"]
    subprocess.run(command, check=True, capture_output=True)


def _versions(folder: Path) -> str:
    program = "import engine, library, plugin; print(engine.version, library.version)"
    python = folder / ".venv" / "bin" / "python"
    return subprocess.run(
        [python, "-c", program], check=True, capture_output=True, text=True
    ).stdout.strip()


def test_install_takes_the_pinned_version_though_a_newer_one_is_asked_for_with_extras(
    folder: Path, index: tuple[Path, str]
) -> None:
    root, url = index
    (folder / "lock.txt").write_text(_pin(root, "plugin==1.0", "library==1.0", "engine==1.0"))

    # The control: pip, left to resolve, asks for library[fast] and refuses what has no hash.
    python = folder / ".venv" / "bin" / "python"
    command = [python, "-m", "pip", "install", "--isolated", "--dry-run", "--require-hashes"]
    resolved = subprocess.run(
        [*command, "--index-url", url, "--no-cache-dir", "--requirement", folder / "lock.txt"],
        check=False,
        capture_output=True,
        text=True,
    )
    answer = _install(folder, "lock.txt", ".run-4", index=url)

    assert resolved.returncode == 1
    assert "library[fast]" in resolved.stderr
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert _versions(folder) == "1.0 1.0"


def test_install_refuses_a_lock_in_which_a_package_is_missing(
    folder: Path, index: tuple[Path, str]
) -> None:
    root, url = index
    (folder / "lock.txt").write_text(_pin(root, "plugin==1.0", "engine==1.0"))
    _uninstall(folder)

    answer = _install(folder, "lock.txt", ".dev-5", index=url)

    _uninstall(folder)

    assert answer.returncode == 1
    assert answer.stderr.startswith("The pinned packages do not fit together:")
    assert "plugin 1.0 requires library, which is not installed" in answer.stderr
    assert not (folder / ".venv" / ".dev-5").exists()


def test_install_says_which_pinned_file_has_vanished_and_what_to_do(
    folder: Path, index: tuple[Path, str]
) -> None:
    root, url = index
    (folder / "lock.txt").write_text(_pin(root, "engine==0.9"))

    answer = _install(folder, "lock.txt", ".dev-7", index=url)

    assert answer.returncode == 1
    assert answer.stderr.startswith("engine==0.9, pinned in lock.txt, is not on the package index")
    assert "make requirements" in answer.stderr
    assert not (folder / ".venv" / ".dev-7").exists()


def test_install_says_that_the_index_cannot_be_reached(folder: Path) -> None:
    (folder / "lock.txt").write_text(_pin(folder, "engine==0.9"))

    answer = _install(folder, "lock.txt", ".dev-8", index="http://127.0.0.1:9/")

    assert answer.returncode == 1
    assert answer.stderr.startswith("The package index cannot be reached")


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
