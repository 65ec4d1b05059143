"""Our SQL, taken apart: statements, functions, and what stands within their bodies."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pglast
from pglast import ast, enums
from pglast.visitors import Visitor

from mps.base.core import sql_files
from tests import sources
from tests.servers import ROOT

Parsed = tuple[ast.RawStmt, ...]

_IN = (
    enums.FunctionParameterMode.FUNC_PARAM_IN,
    enums.FunctionParameterMode.FUNC_PARAM_INOUT,
    enums.FunctionParameterMode.FUNC_PARAM_VARIADIC,
    enums.FunctionParameterMode.FUNC_PARAM_DEFAULT,
)
# How PL/pgSQL reads an expression (RawParseMode): a statement, a value, or an assignment.
_VALUE = 2
_ASSIGNMENT = re.compile(r"([\w.]+)(\[.*?\])?\s*:?=\s*(.*)", re.DOTALL)


@dataclass(frozen=True)
class Statement:
    """A statement of a file: its tree, its text, and the app whose file it is in."""

    app: str
    path: Path
    tree: ast.Node
    text: str

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}: {' '.join(self.text.split())[:60]}"


@dataclass(frozen=True)
class Expression:
    """A static statement, or a value, of a body; as a statement that can be parsed.

    An assignment is the value it assigns; its target is kept apart.
    """

    text: str
    target: str = ""

    @cached_property
    def tree(self) -> Parsed:
        return pglast.parse_sql(self.text)


@dataclass(frozen=True)
class Function:
    """A function of a file."""

    app: str
    path: Path
    name: str
    text: str
    body: str
    language: str
    inputs: tuple[str, ...]

    def __str__(self) -> str:
        return self.name

    @cached_property
    def plpgsql(self) -> dict[str, Any]:
        """What PL/pgSQL's own parser makes of it."""
        (parsed,) = pglast.parse_plpgsql(self.text)
        return dict(parsed["PLpgSQL_function"])

    @cached_property
    def expressions(self) -> tuple[Expression, ...]:
        """What it runs: the statements of a body in SQL; those, and all values, of PL/pgSQL."""
        if self.language == "sql":
            return (Expression(self.body),)
        found = nodes_of(self.plpgsql, "PLpgSQL_expr")
        return tuple(part for node in found for part in read_expression(node))


def list_statements() -> Iterator[Statement]:
    """Yield the statements of all repeatable files."""
    for file in sql_files.list_files():
        yield from read_file(file.path, file.app)


def list_functions() -> list[Function]:
    """Return the functions of all repeatable files."""
    return [each for statement in list_statements() if (each := as_function(statement))]


def all_files() -> list[Path]:
    """Return all files of SQL: repeatable ones, migrations, the benchmark's."""
    return list(sources.own_files(".sql"))


def read_file(path: Path, app: str) -> Iterator[Statement]:
    """Yield the statements of a file."""
    yield from read_text(path.read_text(encoding="utf-8"), path, app)


def read_text(text: str, path: Path, app: str) -> Iterator[Statement]:
    """Yield the statements of what stands in a file, or could."""
    encoded = text.encode()
    for raw in pglast.parse_sql(text):
        end = raw.stmt_location + raw.stmt_len if raw.stmt_len else len(encoded)
        yield Statement(app, path, raw.stmt, encoded[raw.stmt_location : end].decode().strip())


def as_function(statement: Statement) -> Function | None:
    """Return the function that a statement creates, if it does."""
    tree = statement.tree
    if not isinstance(tree, ast.CreateFunctionStmt):
        return None
    options = {option.defname: option.arg for option in tree.options}
    return Function(
        app=statement.app,
        path=statement.path,
        name=tree.funcname[-1].sval,
        text=statement.text,
        body=options["as"][0].sval,
        language=options["language"].sval,
        inputs=tuple(each.name for each in tree.parameters or () if each.mode in _IN),
    )


def read_expression(node: dict[str, Any]) -> Iterator[Expression]:
    """Yield what a node `PLpgSQL_expr` consists of."""
    query, mode = node["query"], node["parseMode"]
    if mode < _VALUE:
        yield Expression(query)
    elif mode == _VALUE:
        yield Expression(f"SELECT {query}")
    else:
        matched = _ASSIGNMENT.fullmatch(query)
        assert matched, query
        target, subscript, value = matched.groups()
        if subscript:
            yield Expression(f"SELECT {target}{subscript}")
        yield Expression(f"SELECT {value}", target)


def nodes_of(tree: Any, kind: str) -> Iterator[dict[str, Any]]:
    """Yield all nodes of a kind in what PL/pgSQL's parser has made, in the order of the text.

    The query of a loop comes before what is done with its rows.
    """
    if isinstance(tree, list):
        for each in tree:
            yield from nodes_of(each, kind)
    elif isinstance(tree, dict):
        for key in sorted(tree, key=lambda key: key == "body"):
            if key == kind:
                yield tree[key]
            yield from nodes_of(tree[key], kind)


def columns_of(tree: Any) -> list[ast.ColumnRef]:
    """Return all names that stand for a value in a tree: columns, and PL/pgSQL's variables."""
    return _collect(tree, ast.ColumnRef)


def calls_of(tree: Any) -> list[ast.FuncCall]:
    """Return all calls of functions in a tree."""
    return _collect(tree, ast.FuncCall)


def tables_of(tree: Any) -> list[ast.RangeVar]:
    """Return all tables named in a tree, without the names that WITH gives and that are locked."""
    given = {each.ctename for each in _collect(tree, ast.CommonTableExpr)}
    locked = {
        alias.relname
        for clause in _collect(tree, ast.LockingClause)
        for alias in clause.lockedRels or ()
    }
    return [
        each
        for each in _collect(tree, ast.RangeVar)
        if each.schemaname or each.relname not in given | locked
    ]


def written_by(tree: Any) -> list[ast.RangeVar]:
    """Return the tables that a tree writes."""
    writes: list[Any] = []
    for kind in (ast.InsertStmt, ast.UpdateStmt, ast.DeleteStmt, ast.MergeStmt):
        writes += _collect(tree, kind)
    return [each.relation for each in writes]


def path_of(column: ast.ColumnRef) -> tuple[str, ...]:
    """Return a name's parts; `*` is one."""
    return tuple(getattr(each, "sval", "*") for each in column.fields)


def _collect(tree: Any, kind: type[ast.Node]) -> list[Any]:
    found: list[Any] = []

    class Collector(Visitor):
        def visit(self, _ancestors: Any, node: Any) -> None:
            if isinstance(node, kind):
                found.append(node)

    Collector()(tree)
    return found
