"""Which Chromium the tests and the pictures are made with."""

import os
import shutil

HOW = "Install it (apt-get install chromium), or name it by MPS_CHROMIUM"
# Without a sandbox: it sees our own pages only.
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def find_chromium() -> str | None:
    """Return the path of the one that is there; None if there is none."""
    named = os.environ.get("MPS_CHROMIUM")
    return named or next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
