"""The file that says where the embedded servers are."""

import base64
import dataclasses
import json
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psycopg.conninfo
import pytest

from mps.launcher import state
from mps.launcher.errors import LauncherError


def test_state_round_trips_through_its_file(tmp_path: Path) -> None:
    made = dataclasses.replace(state.generate(), postgres_port=25432, redis_port=26379)

    state.save(tmp_path, made)

    assert state.load(tmp_path) == made


def test_state_file_is_private_and_leaves_no_other(tmp_path: Path) -> None:
    state.save(tmp_path, state.generate())
    state.save(tmp_path, state.generate())

    [file] = tmp_path.iterdir()
    assert file.name == "embedded.json"
    assert file.stat().st_mode & 0o777 == 0o600


def test_save_that_fails_keeps_the_old_file(tmp_path: Path) -> None:
    made = state.generate()
    state.save(tmp_path, made)

    with pytest.raises(TypeError):
        state.save(tmp_path, dataclasses.replace(made, id=object()))  # type: ignore[arg-type]
    with pytest.raises(UnicodeEncodeError):
        state.write_private(tmp_path / "embedded.json", "\ud800", owner=tmp_path)

    assert state.load(tmp_path) == made
    assert len(list(tmp_path.iterdir())) == 1


def test_load_finds_nothing_in_a_new_folder(tmp_path: Path) -> None:
    assert state.load(tmp_path) is None
    assert state.load(tmp_path / "missing") is None


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"id": 1}', '"text"', "\xff"])
def test_load_says_that_a_file_is_damaged(tmp_path: Path, content: str) -> None:
    (tmp_path / "embedded.json").write_text(content, encoding="latin-1")

    with pytest.raises(LauncherError, match=r"embedded\.json is damaged"):
        state.load(tmp_path)


def test_every_data_folder_has_secrets_of_its_own() -> None:
    one, other = state.generate(), state.generate()

    assert one.id != other.id
    assert set(one.passwords) == {"postgres", "mps_owner", "mps_web", "mps_report", "mps_backup"}
    everything = [
        *one.passwords.values(),
        *other.passwords.values(),
        *one.secrets.values(),
        *other.secrets.values(),
        one.redis_password,
        other.redis_password,
    ]
    assert len(set(everything)) == len(everything)
    assert all(len(secret) >= 32 for secret in everything)


def test_generated_code_key_has_an_id_and_256_bits() -> None:
    key_id, _, key = state.generate().secrets["MPS_CODE_KEYS"].partition(":")

    assert key_id == "k1"
    assert len(base64.b64decode(key, validate=True)) == 32


def test_urls_survive_every_character_of_a_password() -> None:
    password = "a/b:c@d?e#f%20 g'h"
    made = state.generate()
    made = dataclasses.replace(
        made,
        postgres_port=25432,
        redis_port=26379,
        redis_password=password,
        passwords={**made.passwords, "mps_owner": password},
    )

    url = made.database_url("owner", "a b/c")

    assert psycopg.conninfo.conninfo_to_dict(url) == {
        "user": "mps_owner",
        "password": password,
        "host": "127.0.0.1",
        "port": "25432",
        "dbname": "a b/c",
    }
    assert unquote(urlsplit(made.redis_url()).password or "") == password
    assert urlsplit(made.redis_url()).port == 26379


def test_environment_names_all_that_mps_reads() -> None:
    made = state.generate()

    env = made.environment()

    assert env["DATABASE_URL"] == made.database_url("web")
    assert env["DATABASE_SUPERUSER_URL"] == made.database_url("superuser", "postgres")
    assert env["SECRET_KEY"] == made.secrets["SECRET_KEY"]
    assert json.loads(json.dumps(env)) == env


def test_data_dir_is_in_the_checkout_unless_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MPS_DATA_DIR", raising=False)
    assert state.data_dir() == Path(__file__).resolve().parents[2] / ".data"

    monkeypatch.setenv("MPS_DATA_DIR", "")
    assert state.data_dir() == Path(__file__).resolve().parents[2] / ".data"

    monkeypatch.setenv("MPS_DATA_DIR", "relative")
    monkeypatch.chdir(tmp_path)
    assert state.data_dir() == tmp_path / "relative"
