"""`manage.py bootstrap_database`: create the roles and the empty database, once, as a superuser."""

import os
from typing import Any
from urllib.parse import unquote, urlsplit

import psycopg
from django.core.management.base import BaseCommand, CommandError
from psycopg import sql

LOGINS = ("mps_owner", "mps_web", "mps_report", "mps_backup")
PRINCIPALS = ("merchant_api", "member_app", "platform_admin")


class Command(BaseCommand):
    """Create the logins, the principals' roles and the database; safe to repeat."""

    help = (
        "Create roles and database as a superuser (DATABASE_SUPERUSER_URL). Sets the passwords of "
        "the four logins as DATABASE_OWNER_URL, DATABASE_URL, DATABASE_REPORT_URL and "
        "DATABASE_BACKUP_URL have them."
    )
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it."""
        urls = {
            "mps_owner": os.environ.get("DATABASE_OWNER_URL", ""),
            "mps_web": os.environ.get("DATABASE_URL", ""),
            "mps_report": os.environ.get("DATABASE_REPORT_URL", ""),
            "mps_backup": os.environ.get("DATABASE_BACKUP_URL", ""),
        }
        superuser_url = os.environ.get("DATABASE_SUPERUSER_URL", "")
        if not superuser_url:
            raise CommandError(
                "DATABASE_SUPERUSER_URL is not set: roles are created by a superuser."
            )
        if not urls["mps_owner"]:
            raise CommandError(
                "DATABASE_OWNER_URL is not set: it names the database and mps_owner's password."
            )
        passwords = {login: unquote(urlsplit(url).password or "") for login, url in urls.items()}
        for login, url in urls.items():
            if url and urlsplit(url).username != login:
                raise CommandError(
                    f"the URL for {login} signs in as {urlsplit(url).username}: it must be {login}."
                )
        database = urlsplit(urls["mps_owner"]).path.lstrip("/")
        bootstrap(superuser_url, database=database, passwords=passwords)
        if options["verbosity"]:
            self.stdout.write(f"Roles and database {database} are there.")


def bootstrap(superuser_url: str, *, database: str, passwords: dict[str, str]) -> None:
    """Create roles and `database`; safe to repeat.

    :param passwords: of each login; a login with an empty one cannot sign in.
    """
    with psycopg.connect(superuser_url, autocommit=True, client_encoding="utf8") as connection:
        existing = {row[0] for row in connection.execute("SELECT rolname FROM pg_roles")}
        for role in PRINCIPALS:
            if role not in existing:
                connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(role)))
        for login in LOGINS:
            attributes = "LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION" + (
                " BYPASSRLS" if login == "mps_backup" else " NOBYPASSRLS"
            )
            verb = "ALTER" if login in existing else "CREATE"
            connection.execute(
                sql.SQL("{} ROLE {} {} PASSWORD {}").format(
                    sql.SQL(verb),
                    sql.Identifier(login),
                    sql.SQL(attributes),
                    sql.Literal(passwords.get(login) or None),
                )
            )
        for login in ("mps_web", "mps_owner"):
            # INHERIT FALSE: without naming a role, no policy of any role applies.
            connection.execute(
                sql.SQL(
                    "GRANT merchant_api, member_app, platform_admin TO {}"
                    " WITH INHERIT FALSE, SET TRUE"
                ).format(sql.Identifier(login))
            )
        # A charge that cannot have its locks answers 503 rather than hang; nothing runs away.
        connection.execute("ALTER ROLE mps_web SET lock_timeout = '5s'")
        connection.execute("ALTER ROLE mps_web SET statement_timeout = '30s'")
        connection.execute("ALTER ROLE mps_web SET idle_in_transaction_session_timeout = '60s'")
        for login in ("mps_report", "mps_backup"):
            connection.execute(
                sql.SQL("ALTER ROLE {} SET default_transaction_read_only = on").format(
                    sql.Identifier(login)
                )
            )
        known = connection.execute(
            "SELECT 1 FROM pg_database WHERE datname = %s", [database]
        ).fetchone()
        if not known:
            connection.execute(
                sql.SQL(
                    "CREATE DATABASE {} OWNER mps_owner ENCODING 'UTF8' TEMPLATE template0"
                ).format(sql.Identifier(database))
            )
        connection.execute(
            sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(database))
        )
        connection.execute(
            sql.SQL("GRANT CONNECT ON DATABASE {} TO mps_web, mps_report, mps_backup").format(
                sql.Identifier(database)
            )
        )
    with psycopg.connect(superuser_url, dbname=database, autocommit=True) as connection:
        connection.execute("ALTER SCHEMA public OWNER TO mps_owner")
        connection.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
