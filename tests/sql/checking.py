"""Check a PL/pgSQL function against the schema without running it.

PL/pgSQL looks at a statement when it comes to it for the first time. Here the server prepares every
static statement and value of a body, with the function's variables as parameters of their types, so
that a column or function that does not exist is found wherever it stands.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pglast
import psycopg
from psycopg.pq import ExecStatus

from tests.sql import sources

# What is given to a trigger, by its type.
_GIVEN = {"found": "boolean", "tg_op": "text", "tg_table_name": "name"}
_ROWS = ("new", "old")

Shape = dict[str, int]


@dataclass
class Scope:
    """What a body's names stand for."""

    variables: Shape = field(default_factory=dict)
    # The fields of records; None: nobody knows before it runs.
    records: dict[str, Shape | None] = field(default_factory=dict)
    # The table whose rows NEW and OLD are.
    table: str = ""


@dataclass(frozen=True)
class Result:
    """What was found wrong, and what cannot be checked: dynamic SQL and its records."""

    wrong: list[str]
    unchecked: list[str]


class Checker:
    """Checks functions that are in the database of `connection`, which commits by itself."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self.connection = connection

    def check(self, function: sources.Function) -> Result:
        """Return what is wrong with a function; a trigger's for each table that has it."""
        result = Result([], [])
        for table, rows in self._tables_of_trigger(function.name):
            scope = self._open_scope(function, table)
            for name in rows:
                self.connection.execute(f"CREATE TEMP TABLE {name} (LIKE {table})")
            try:
                # What variables begin with stands with their declarations.
                parts = [function.plpgsql["datums"], function.plpgsql["action"]]
                for each in self._walk(parts, function.name, scope, result):
                    self._check_expression(each, function, scope, result)
            finally:
                for name in rows:
                    self.connection.execute(f"DROP TABLE pg_temp.{name}")
        return Result(sorted(set(result.wrong)), sorted(set(result.unchecked)))

    def _tables_of_trigger(self, name: str) -> list[tuple[str, list[str]]]:
        """Return the tables that a function is a trigger of, with its transition tables' names."""
        found = self.connection.execute(
            "SELECT tgrelid::regclass::text, array_remove(ARRAY[max(tgnewtable), max(tgoldtable)],"
            " NULL)::text[] FROM pg_trigger JOIN pg_class c ON c.oid = tgrelid"
            " WHERE tgfoid = %s::regproc AND NOT tgisinternal AND NOT c.relispartition GROUP BY 1",
            [name],
        ).fetchall()
        return [(table, rows) for table, rows in found] or [("", [])]

    def _open_scope(self, function: sources.Function, table: str) -> Scope:
        scope = Scope(table=table)
        names, types = self.connection.execute(
            "SELECT coalesce(proargnames, '{}'), coalesce(proallargtypes, proargtypes::oid[])"
            " FROM pg_proc WHERE oid = %s::regproc",
            [function.name],
        ).fetchone() or ([], [])
        scope.variables = {name: int(oid) for name, oid in zip(names, types, strict=False)}
        for name, given in _GIVEN.items():
            scope.variables[name] = self._oid(given)
        for node in sources.nodes_of(function.plpgsql, "PLpgSQL_var"):
            kind = node.get("datatype", {}).get("PLpgSQL_type", {}).get("typname", "")
            if kind and node["refname"] not in scope.variables:
                scope.variables[node["refname"]] = self._oid(kind)
        for node in sources.nodes_of(function.plpgsql["datums"], "PLpgSQL_rec"):
            scope.records[node["refname"]] = None
        for name in _ROWS:
            if name in scope.records and table:
                scope.records[name] = self._describe(f"SELECT * FROM {table}", [])
        return scope

    def _walk(
        self, tree: Any, function: str, scope: Scope, result: Result
    ) -> Iterator[sources.Expression]:
        """Yield all expressions in the order of the text; learn what records hold on the way."""
        if isinstance(tree, list):
            for each in tree:
                yield from self._walk(each, function, scope, result)
            return
        if not isinstance(tree, dict):
            return
        if "PLpgSQL_expr" in tree:
            yield from sources.read_expression(tree["PLpgSQL_expr"])
        for kind, node in tree.items():
            if kind in {"PLpgSQL_stmt_fors", "PLpgSQL_stmt_execsql"}:
                query = node.get("query") or node["sqlstmt"]
                target = node.get("var") or node.get("target") or {}
                if "PLpgSQL_rec" in target:
                    name = target["PLpgSQL_rec"]["refname"]
                    (parsed,) = sources.read_expression(query["PLpgSQL_expr"])
                    text, oids, _ = self._bind(parsed, scope, function)
                    scope.records[name] = self._describe(text, oids)
            if kind in {"PLpgSQL_stmt_dynexecute", "PLpgSQL_stmt_dynfors"}:
                result.unchecked.append("dynamic SQL")
            if kind != "PLpgSQL_expr":
                ordered = node
                if isinstance(node, dict):
                    ordered = dict(sorted(node.items(), key=lambda item: item[0] == "body"))
                yield from self._walk(ordered, function, scope, result)

    def _check_expression(
        self, each: sources.Expression, function: sources.Function, scope: Scope, result: Result
    ) -> None:
        text, oids, problems = self._bind(each, scope, function.name)
        said = " ".join(each.text.split())[:80]
        for problem in problems:
            (result.unchecked if problem.startswith("?") else result.wrong).append(
                f"{problem}: {said}"
            )
        if not problems and (error := self._prepare(text, oids)):
            result.wrong.append(f"{error}: {said}")

    def _bind(
        self, each: sources.Expression, scope: Scope, function: str
    ) -> tuple[str, list[int], list[str]]:
        """Return a statement with parameters for variables, their types, and what is wrong."""
        text = each.text.encode()
        oids: list[int] = []
        problems: list[str] = []
        scanned = pglast.parser.scan(each.text)
        tokens = {token.start: n for n, token in enumerate(scanned)}
        places: list[tuple[int, int, str]] = []
        for column in sources.columns_of(each.tree):
            path = sources.path_of(column)
            if path[0] == function and len(path) > 1:
                path = path[1:]
            meant: int | str | None = None
            if path[0] in scope.records:
                shape = scope.records[path[0]]
                if len(path) == 1:
                    meant = f"NULL::{scope.table}" if path[0] in _ROWS else "NULL::record"
                elif shape is None:
                    problems.append(f"? {'.'.join(path)} is known only when it runs")
                elif path[1] not in shape:
                    problems.append(f"{path[0]} has no field {path[1]}")
                else:
                    meant = shape[path[1]]
            elif len(path) == 1:
                meant = scope.variables.get(path[0])
            if meant is None:
                continue
            if isinstance(meant, int):
                oids.append(meant)
                meant = f"${len(oids)}"
            first = tokens[len(text[: column.location].decode())]
            last = scanned[first + 2 * (len(column.fields) - 1)]
            places.append((scanned[first].start, last.end + 1, meant))
        bound = each.text
        for start, end, meant in sorted(places, reverse=True):
            bound = bound[:start] + meant + bound[end:]
        return bound, oids, problems

    def _prepare(self, text: str, oids: list[int]) -> str:
        """Let the server prepare a statement; return what it has to say against it."""
        done = self.connection.pgconn.prepare(b"", text.encode(), oids)
        return "" if done.status == ExecStatus.COMMAND_OK else done.error_message.decode().strip()

    def _describe(self, text: str, oids: list[int]) -> Shape | None:
        """Return the columns of what a statement answers; None if it cannot be prepared."""
        if self._prepare(text, oids):
            return None
        told = self.connection.pgconn.describe_prepared(b"")
        names = [told.fname(n) or b"" for n in range(told.nfields)]
        return {name.decode(): told.ftype(n) for n, name in enumerate(names)}

    def _oid(self, kind: str) -> int:
        row = self.connection.execute("SELECT %s::regtype::oid", [kind]).fetchone()
        assert row is not None
        return int(row[0])
