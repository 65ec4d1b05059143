"""Keep a populated database of this release: `make dump` (`python -m tests.upgrades.dump`).

Done once for each release, when it is made; the tests of all later releases upgrade it.
"""

import gzip
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import mps
from mps.launcher import programs
from tests.launcher.helpers import launched
from tests.upgrades import installation


def main() -> int:
    """Start the demonstration, take a payment, and write dump and credentials beside this file."""
    with tempfile.TemporaryDirectory(prefix="mps-dump-") as folder:
        data_dir = Path(folder) / "data"
        port = installation.free_port()
        with launched(
            "-m",
            "mps.launcher",
            "run",
            MPS_DATA_DIR=str(data_dir),
            MPS_PORT=str(port),
            MPS_DEMO="1",
            **installation.SECRETS,
        ) as running:
            running.wait_for("Ctrl-C stops everything")
            world = _read_credentials(data_dir / "demo-credentials.txt")
            api = f"http://127.0.0.1:{port}/api/v1"
            status, charged = installation.charge(api, world, amount="299.00", key="before")
            assert status == 201, charged
            text = subprocess.run(
                [programs.binary("pg_dump"), "--dbname", installation.database_url(data_dir)],
                check=True,
                capture_output=True,
            ).stdout
    target = installation.FOLDER / f"{mps.__version__}.sql.gz"
    target.write_bytes(gzip.compress(text, mtime=0))
    target.with_suffix("").with_suffix(".json").write_text(
        json.dumps({**world, "charged": charged}, indent=2, ensure_ascii=False) + "\n"
    )
    sys.stdout.write(f"Wrote {target.name}: {target.stat().st_size:,} bytes.\n")
    return 0


def _read_credentials(file: Path) -> dict[str, str]:
    lines = [line.split() for line in file.read_text().splitlines()]
    (_, phone, password, *_rest) = next(line for line in lines if line[0] == "member")
    return {
        "phone": phone,
        "password": password,
        "card": next(line for line in lines if line[0] == "password")[1],
        "terminal": next(line for line in lines if line[:2] == ["terminal", "SHOP001"])[2],
    }


if __name__ == "__main__":
    sys.exit(main())
