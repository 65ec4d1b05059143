"""Bring a Chromium for the browser tests, where that may be done; say in one line where not."""

import os
import shutil
import subprocess
import sys

HOW = "apt-get install chromium, or name one by MPS_CHROMIUM; then: make test ARGS=tests/browser"


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Install Debian's package if nothing is there and we are root on Debian."""
    if os.environ.get("MPS_CHROMIUM") or any(map(shutil.which, ("chromium", "chromium-browser"))):
        return 0
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        say(f"No Chromium here: the browser tests do not run. To run them: {HOW}.")
        return 0
    say("Installing Debian's chromium for the browser tests; this takes a minute.")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"]
    for command in (install, ["apt-get", "update", "-qq"], install):
        done = subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False)
        if command is install and done.returncode == 0:
            return 0
    say(f"Chromium could not be installed: the browser tests do not run. To run them: {HOW}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
