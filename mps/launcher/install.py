"""Create `.venv` and install pinned packages: `python install.py <requirements file> <stamp>`.

Runs as a plain file under the system's Python, before anything is installed: the standard library
only, and no import from MPS.

The requirements files are complete locks: every package, at one version, with its hashes. They are
installed as they stand, without asking any package what else it would like. Resolving again would
let a release of today in: a package that asks for `coverage[toml]` is not satisfied by the pinned
`coverage`, and pip would refuse the newest one, which has no hash here. `pip check` then confirms
that the pinned versions fit together.
"""

# ruff: noqa: T201 -- it talks to the operator on a terminal.
from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

_OLDEST = (3, 11)
_STEP = 20


def main(requirements: Path, stamp: Path) -> int:
    """Bring the virtual environment that holds `stamp` up to `requirements`; return the exit code.

    The stamp, whose name tells the content of the requirements, is written at the very end.
    """
    folder = stamp.parent
    python = folder / "bin" / "python"
    if not _is_usable(python):
        print(f"Making {folder} with Python {sys.version.split()[0]}.", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
    problem = _install(python, requirements, folder / "install.log") or _check(python)
    if problem:
        print(problem, file=sys.stderr)
        return 1
    kind = stamp.name.partition("-")[0]
    for old in folder.glob(f"{kind}-*"):
        old.unlink()
    stamp.touch()
    return 0


def _install(python: Path, requirements: Path, log: Path) -> str:
    """Install every pinned package; return what went wrong, or nothing."""
    lines = requirements.read_text().splitlines()
    total = sum(line[:1].isalnum() for line in lines)
    if not any(line.strip() and not line.startswith("#") for line in lines):
        return ""
    print(f"Installing {requirements} into {log.parent}; only when it changes.", flush=True)
    command: list[str | Path] = [python, "-m", "pip", "install", "--require-hashes", "--no-deps"]
    command += ["--disable-pip-version-check", "--no-input", "--progress-bar=off"]
    problem = f"The packages were not installed; {log} says why."
    is_reachable = True
    with (
        subprocess.Popen(
            [*command, "--requirement", requirements],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as pip,
        log.open("w", encoding="utf-8") as log_file,
    ):
        assert pip.stdout is not None
        seen = 0
        for line in pip.stdout:
            log_file.write(line)
            if line.startswith(("Collecting ", "Requirement already satisfied")):
                seen += 1
                if seen % _STEP == 0:
                    print(f"  {seen} of up to {total} packages", flush=True)
            elif line.startswith("Installing collected"):
                print("  unpacking", flush=True)
            elif line.startswith(("ERROR", "WARNING: Retrying")):
                print(f"  {line.rstrip()}", flush=True)
                is_reachable = is_reachable and "Retrying" not in line
                problem = _explain(line, requirements, is_reachable) or problem
    return problem if pip.returncode else ""


def _explain(line: str, requirements: Path, is_reachable: bool) -> str:
    """Say what an error line of pip means for whoever started this, where we know."""
    vanished = re.search(r"No matching distribution found for ([^\s;]+)", line)
    if not vanished:
        return ""
    if not is_reachable:
        return (
            "The package index cannot be reached, so the packages were not installed. "
            "Check the network, or name another index by PIP_INDEX_URL, and start again."
        )
    return (
        f"{vanished[1]}, pinned in {requirements}, is not on the package index (any more) for this "
        "Python. Run `make requirements` to pin versions that are there, then `make test`, and "
        "commit both requirements files."
    )


def _check(python: Path) -> str:
    """Return how the installed packages contradict each other, or nothing."""
    command: list[str | Path] = [python, "-m", "pip", "check", "--disable-pip-version-check"]
    answer = subprocess.run(command, check=False, capture_output=True, text=True)
    if answer.returncode == 0:
        return ""
    return (
        f"The pinned packages do not fit together:\n{answer.stdout}"
        "Run `make clean` if .venv holds packages of an earlier version, else `make requirements`."
    )


def _is_usable(python: Path) -> bool:
    question = f"import pip, sys; sys.exit(sys.version_info < {_OLDEST})"
    try:
        answer = subprocess.run([python, "-c", question], check=False, capture_output=True)
    except OSError:
        return False
    return answer.returncode == 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
