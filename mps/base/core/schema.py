"""What the database consists of, object by object, and how it differs from this release.

`schema.txt` beside this file lists every column, constraint, index, trigger, policy, function, view
and grant of a database made by this release. It is written by `manage.py write_schema` and checked
by a test. `manage.py check_schema` and `/readyz` compare a database with it by name, which finds
what hashes of files cannot: a function replaced by hand, an index dropped, a restore cut short.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from django.db.backends.base.base import BaseDatabaseWrapper

FILE = Path(__file__).with_name("schema.txt")
_VERSION = "PostgreSQL "
# Casts to text, and brackets around a single constant, column or array.
_CAST = re.compile(r"::(?:character varying|text)(?:\[\])?(?![\w(])")
_BRACKETS = re.compile(r"""(?<!\w)\(('[^']*'|[\w."]+|ARRAY\[[^\]]*\])\)""")

# Partitions are left out: they are made month by month after their table.
_QUERY = """
WITH relation AS (
    SELECT c.oid, c.relname, c.relkind, c.relrowsecurity, c.relforcerowsecurity, c.relacl,
           c.relowner, c.oid::regclass::text AS name
    FROM pg_class c
    WHERE c.relnamespace IN ('public'::regnamespace, 'report'::regnamespace)
      AND NOT c.relispartition AND c.relkind IN ('r', 'p', 'v', 'S')
), routine AS (
    SELECT p.oid, p.proacl, p.proowner, p.oid::regprocedure::text AS name
    FROM pg_proc p WHERE p.pronamespace IN ('public'::regnamespace, 'report'::regnamespace)
)
SELECT CASE r.relkind WHEN 'v' THEN 'view ' WHEN 'S' THEN 'sequence ' ELSE 'table ' END || r.name,
       CASE r.relkind WHEN 'v' THEN md5(pg_get_viewdef(r.oid)) || ' '
                 || coalesce((SELECT c.reloptions::text FROM pg_class c WHERE c.oid = r.oid), '')
            WHEN 'S' THEN '' ELSE concat_ws(' ', r.relkind::text,
                CASE WHEN r.relrowsecurity THEN 'row security' END,
                CASE WHEN r.relforcerowsecurity THEN 'forced' END) END
FROM relation r
UNION ALL
SELECT 'column ' || r.name || '.' || a.attname,
       concat_ws(' ', format_type(a.atttypid, a.atttypmod),
                 CASE WHEN a.attnotnull THEN 'not null' END,
                 'default ' || pg_get_expr(d.adbin, d.adrelid),
                 nullif(a.attidentity::text, ''))
FROM relation r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE r.relkind <> 'S'
UNION ALL
SELECT 'constraint ' || r.name || '.' || k.conname, pg_get_constraintdef(k.oid)
FROM relation r JOIN pg_constraint k ON k.conrelid = r.oid WHERE k.contype NOT IN ('n', 't')
UNION ALL
SELECT 'index ' || i.indexrelid::regclass,
       pg_get_indexdef(i.indexrelid) || CASE WHEN i.indisvalid THEN '' ELSE ' invalid' END
FROM relation r JOIN pg_index i ON i.indrelid = r.oid
UNION ALL
SELECT 'trigger ' || r.name || '.' || t.tgname, pg_get_triggerdef(t.oid) || ' ' || t.tgenabled::text
FROM relation r JOIN pg_trigger t ON t.tgrelid = r.oid AND NOT t.tgisinternal
UNION ALL
SELECT 'policy ' || r.name || '.' || p.polname,
       concat_ws(' ', p.polcmd::text,
                 CASE WHEN p.polpermissive THEN '' ELSE 'restrictive' END, 'to',
                 (SELECT string_agg(m::regrole::text, ',' ORDER BY m::regrole::text)
                  FROM unnest(p.polroles) AS m),
                 'using ' || pg_get_expr(p.polqual, p.polrelid),
                 'check ' || pg_get_expr(p.polwithcheck, p.polrelid))
FROM relation r JOIN pg_policy p ON p.polrelid = r.oid
UNION ALL
SELECT 'function ' || f.name, md5(pg_get_functiondef(f.oid)) FROM routine f
UNION ALL
SELECT 'grant ' || g.name || ' to '
       || CASE g.grantee WHEN 0 THEN 'public' ELSE g.grantee::regrole::text END,
       string_agg(g.privilege, ',' ORDER BY g.privilege)
FROM (
    SELECT r.name, x.grantee, x.privilege_type AS privilege
    FROM relation r CROSS JOIN LATERAL aclexplode(r.relacl) x WHERE x.grantee <> r.relowner
    UNION ALL
    SELECT f.name, x.grantee, x.privilege_type
    FROM routine f CROSS JOIN LATERAL aclexplode(coalesce(f.proacl, acldefault('f', f.proowner))) x
    WHERE x.grantee <> f.proowner
    UNION ALL
    SELECT r.name || '.' || a.attname, x.grantee, x.privilege_type
    FROM relation r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0
    CROSS JOIN LATERAL aclexplode(a.attacl) x
) g
GROUP BY g.name, g.grantee
"""


def read_schema(connection: BaseDatabaseWrapper) -> dict[str, str]:
    """Return every object's definition by its kind and name. Any login may read them."""
    with connection.cursor() as cursor:
        cursor.execute(_QUERY)
        return {name: normalize(definition) for name, definition in cursor.fetchall()}


def normalize(definition: str) -> str:
    """Return a definition without what a restored dump writes in another way.

    PostgreSQL keeps `status IN ('a', 'b')` of a varchar column as one array with one cast. Once it
    was dumped and restored, each value has a cast of its own. Both mean the same.
    """
    definition = " ".join(_CAST.sub("", definition).split())
    while (shorter := _BRACKETS.sub(r"\1", definition)) != definition:
        definition = shorter
    return definition


def read_major_version(connection: BaseDatabaseWrapper) -> int:
    """Return the server's major version."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version_num")
        return int(cursor.fetchone()[0]) // 10_000


def render(objects: Mapping[str, str], *, major_version: int) -> str:
    """Return the content of `schema.txt`."""
    lines = [f"{name} = {definition}".rstrip() for name, definition in sorted(objects.items())]
    return "\n".join([f"{_VERSION}{major_version}", *lines]) + "\n"


def find_differences(connection: BaseDatabaseWrapper, *, additions: bool = True) -> list[str]:
    """Return how the database differs from what this release expects, one sentence each.

    :param additions: also name what is there and not expected, such as an operator's own index.

    How definitions are written differs between major versions of PostgreSQL; on another one than
    `schema.txt` was written with, only names are compared.
    """
    version, *lines = FILE.read_text(encoding="utf-8").splitlines()
    expected = dict(_parse(line) for line in lines)
    same_version = version == f"{_VERSION}{read_major_version(connection)}"
    found = read_schema(connection)
    if not additions:
        found = {name: found[name] for name in expected.keys() & found.keys()}
    return list(_compare(expected, found, definitions=same_version))


def _parse(line: str) -> tuple[str, str]:
    name, _equals, definition = line.partition(" =")
    return name, definition.strip()


def _compare(
    expected: Mapping[str, str], found: Mapping[str, str], *, definitions: bool
) -> Iterator[str]:
    for name in sorted(expected.keys() | found.keys()):
        if name not in found:
            yield f"{name} is missing"
        elif name not in expected:
            yield f"{name} is not part of this release"
        elif definitions and expected[name] != found[name]:
            yield f"{name} differs from this release"
