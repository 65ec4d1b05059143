"""The folders are the floors: imports go down, each module has a floor, no file is a warehouse."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps

from tests.servers import ROOT
from tests.sources import own_files

CONFIG = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
ROOTS: list[str] = CONFIG["root_packages"]
CONTRACTS: list[dict[str, Any]] = CONFIG["contracts"]
MAX_LINES = 600
MAX_FUNCTION_LINES = 70
MAX_SHARE = 0.25
# What a module's docstring says that is longer than others.
REASON = re.compile(r"\blong(er)?,? because\b")
# Longer than it may be, and how long at most. Nothing is added here, and no figure goes up.
STILL_TOO_LONG = {
    "tests/console/test_acts.py": 774,
    "tests/merchants/test_webhooks.py": 811,
    "tests/payments/test_member_topups.py": 812,
    "tests/rpc/test_functions.py": 871,
}


def named(layer: str) -> list[str]:
    """Return the modules of a line of a contract: siblings stand beside each other."""
    return [each.strip(" ()") for each in re.split(r"[|:]", layer)]


def floors() -> dict[str, int]:
    """Return how high each folder and module stands, by its dotted name: 0 is the ground."""
    parts: dict[str, list[list[str]]] = {}
    for contract in CONTRACTS:
        layers = [named(layer) for layer in reversed(contract["layers"])]
        if contract.get("exhaustive"):
            (container,) = contract["containers"]
            parts[container] = [[f"{container}.{each}" for each in layer] for layer in layers]
        elif "containers" not in contract:
            parts[""] = layers

    def opened(layer: list[str]) -> list[list[str]]:
        """Return the floors within a layer; what has none inside is one itself."""
        (first, *others) = layer
        if others or first not in parts:
            return [layer]
        return [floor for each in parts[first] for floor in opened(each)]

    inside = [floor for layer in parts[""] for floor in opened(layer)]
    ground, *above = parts["mps"]
    top = above[-1]
    return {name: level for level, floor in enumerate([ground, *inside, top]) for name in floor}


def sources() -> Iterator[tuple[str, Path]]:
    """Yield the modules of the platform by their dotted names."""
    for root in ROOTS:
        for file in (ROOT / root).rglob("*.py"):
            parts = file.relative_to(ROOT).with_suffix("").parts
            if "migrations" not in parts:
                yield ".".join(parts).removesuffix(".__init__"), file


def imported(tree: ast.Module) -> Iterator[str]:
    """Yield what a module imports, wherever in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{each.name}" for each in node.names)


def floor_of(name: str, known: dict[str, int]) -> str:
    """Return the folder of a module, or itself; empty if it is none of ours."""
    return next((each for each in known if f"{name}.".startswith(f"{each}.")), "")


def test_no_folder_imports_from_above_or_beside() -> None:
    known = floors()
    arrows = {
        (here, there)
        for name, file in sources()
        for module in imported(ast.parse(file.read_text()))
        if (here := floor_of(name, known)) and (there := floor_of(module, known)) and here != there
    }

    assert len(arrows) > len(known)
    assert [(here, there) for here, there in arrows if known[here] <= known[there]] == []


def test_each_module_and_each_app_has_its_place() -> None:
    known = floors()
    homeless = [name for name, _file in sources() if not floor_of(name, known)]
    assert homeless == ["mps", "mps.base", "mps.product"]
    packages = {file.parent.name for file in ROOT.glob("*/__init__.py")}
    assert packages - {"tests", "benchmarks"} == set(ROOTS)
    (inside,) = (each for each in CONTRACTS if "(models)" in each["layers"])
    ours = {config.name for config in apps.get_app_configs() if config.name.split(".")[0] in ROOTS}
    assert set(inside["containers"]) == ours


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the platform's modules, with the contracts."""
    folder = tmp_path_factory.mktemp("layers")
    shutil.copy(ROOT / "pyproject.toml", folder)
    for root in ROOTS:
        only_python = shutil.ignore_patterns("static", "templates", "locale", "sql", "__pycache__")
        shutil.copytree(ROOT / root, folder / root, ignore=only_python)
    return folder


@pytest.mark.parametrize(
    "made_up", ["", "mps/attic.py", "mps/base/attic.py", "mps/product/attic/__init__.py"]
)
def test_a_module_outside_any_layer_is_refused(copy: Path, made_up: str) -> None:
    file = copy / (made_up or "nothing.py")
    file.parent.mkdir(exist_ok=True)
    file.touch()
    try:
        done = subprocess.run(
            [
                *(sys.executable, "-c"),
                "from importlinter.cli import lint_imports_command as check; check()",
                "--no-cache",
            ],
            cwd=copy,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        file.unlink()
        if file.name == "__init__.py":
            shutil.rmtree(file.parent)

    assert (done.returncode == 0) == (not made_up), done.stdout + done.stderr
    assert ("attic" in done.stdout) == bool(made_up)


def test_no_folder_holds_a_quarter_of_the_code() -> None:
    known = floors()
    lines: Counter[str] = Counter()
    for name, file in sources():
        lines[floor_of(name, known)] += len(file.read_text().splitlines())

    biggest, count = lines.most_common(1)[0]
    assert count <= MAX_SHARE * lines.total(), (biggest, count, lines.total())


def test_no_file_and_no_function_is_long_without_a_reason() -> None:
    files, functions = {}, []
    for file in own_files(".py", ".js"):
        path = file.relative_to(ROOT).as_posix()
        text = file.read_text()
        if file.suffix == ".js":
            reason = text.partition("*/")[0]
        elif "migrations" in file.parts:
            continue
        else:
            tree = ast.parse(text)
            reason = ast.get_docstring(tree) or ""
            functions += [
                (path, node.name)
                for node in ast.walk(tree)
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
                and (node.end_lineno or 0) - node.lineno >= MAX_FUNCTION_LINES
                and not REASON.search(reason)
            ]
        if len(text.splitlines()) > MAX_LINES and not REASON.search(reason):
            files[path] = len(text.splitlines())

    assert functions == []
    longer = {
        path: count for path, count in files.items() if count > STILL_TOO_LONG.get(path, MAX_LINES)
    }
    assert longer == {}
    # What has become shorter is taken off the list, or its figure goes down.
    assert {path: files.get(path, 0) for path in STILL_TOO_LONG} == STILL_TOO_LONG
