"""Make `.venv` and install pinned requirements: `python install.py <requirements file> <stamp>`.

Runs as a plain file under the system's Python, before anything is installed: the standard library
only, and no import from MPS.
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
    total = len(re.findall(r"^[A-Za-z0-9]", requirements.read_text(), flags=re.MULTILINE))
    print(f"Installing {requirements} into {folder}; only when it changes.", flush=True)
    command: list[str | Path] = [python, "-m", "pip", "install", "--require-hashes"]
    command += ["--disable-pip-version-check", "--no-input", "--progress-bar=off"]
    log = folder / "install.log"
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
    if pip.returncode:
        print(f"The packages were not installed; {log} says why.", file=sys.stderr)
        return 1
    kind = stamp.name.partition("-")[0]
    for old in folder.glob(f"{kind}-*"):
        old.unlink()
    stamp.touch()
    return 0


def _is_usable(python: Path) -> bool:
    question = f"import pip, sys; sys.exit(sys.version_info < {_OLDEST})"
    try:
        answer = subprocess.run([python, "-c", question], check=False, capture_output=True)
    except OSError:
        return False
    return answer.returncode == 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
