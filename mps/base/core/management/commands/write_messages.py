"""`manage.py write_messages`: collect the texts to translate into Traditional Chinese.

Collects what is marked in our sources, keeps what is translated, and compiles the catalogue. All of
it is Python: nobody needs the gettext tools.
"""

import ast
import io
from argparse import ArgumentParser
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import django.conf
from django.apps import apps
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import to_locale
from django.utils.translation.template import templatize

from mps.base.core.errors import MpsError

LANGUAGE = "zh-hant"
_CODE = (".py",)
_TEMPLATES = (".html", ".txt", ".js", ".webmanifest")
# What our pages are made of and comes in English only.
_FOREIGN_APPS = (
    "unfold",
    "unfold.contrib.filters",
    "unfold.contrib.import_export",
    "import_export",
    "django_celery_beat",
)
_KEYWORDS: dict[str, Any] = {
    "_": None,
    "gettext": None,
    "gettext_lazy": None,
    "gettext_noop": None,
    "ngettext": (1, 2),
    "ngettext_lazy": (1, 2),
    "pgettext": ((1, "c"), 2),
    "pgettext_lazy": ((1, "c"), 2),
}
_WIDTH = 100


class Command(BaseCommand):
    """Write the catalogue and its compiled form, or check that both are current."""

    help = "Collect what people read, and compile its translation into Traditional Chinese."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take whether to check only."""
        parser.add_argument(
            "--check", action="store_true", help="change nothing; exit 1 if anything is stale"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it."""
        if find_spec("babel") is None:
            raise CommandError("Babel is not installed: run make messages, which installs it.")
        catalogue = merged()
        missing = [message.id for message in catalogue if not is_complete(message)]
        if not options["check"]:
            write(catalogue)
            self.stdout.write(f"Wrote {len(catalogue)} messages, {len(missing)} to translate.")
        elif missing:
            raise CommandError(f"Not translated: {missing[0]!r}, and {len(missing) - 1} more.")
        elif texts_of(read()) != texts_of(read_compiled()):
            raise CommandError("What is compiled is not what is translated: run make messages.")
        else:
            self.stdout.write("The catalogue is current.")


def source(name: str = "django.po") -> Path:
    """Return where the catalogue is, or with the other suffix what it is compiled into."""
    folder: Path = settings.LOCALE_PATHS[0]
    return folder / to_locale(LANGUAGE) / "LC_MESSAGES" / name


def read() -> Any:
    """Return the catalogue as it is written down."""
    from babel.messages import pofile

    with source().open("rb") as file:
        return pofile.read_po(file, locale=to_locale(LANGUAGE), domain="django")


def read_compiled() -> Any:
    """Return the catalogue as programs read it."""
    from babel.messages import mofile

    with source("django.mo").open("rb") as file:
        return mofile.read_mo(file)


def merged() -> Any:
    """Return the catalogue with what the sources say now: what is new waits for its translation,
    what is gone is gone.
    """
    catalogue = read()
    catalogue.update(collect(), no_fuzzy_matching=True, update_creation_date=False)
    catalogue.obsolete.clear()
    return catalogue


def write(catalogue: Any) -> None:
    """Write the catalogue down, and compile it.

    Without line numbers, so that it changes only when a text does.
    """
    from babel.messages import mofile, pofile

    text, code = io.BytesIO(), io.BytesIO()
    pofile.write_po(text, catalogue, width=_WIDTH, include_lineno=False)
    mofile.write_mo(code, catalogue)
    source().write_bytes(text.getvalue())
    source("django.mo").write_bytes(code.getvalue())


def texts_of(catalogue: Any) -> dict[Any, Any]:
    """Return what a catalogue makes of each message."""
    return {
        (message.context, singular(message.id)): singular(message.string)
        for message in catalogue
        if message.id and is_complete(message)
    }


def is_complete(message: Any) -> bool:
    """Return whether a message is translated in all its forms; the header, which has no id, is."""
    texts = message.string if isinstance(message.string, (list, tuple)) else (message.string,)
    return not message.id or (all(texts) and not message.fuzzy)


def collect() -> Any:
    """Return everything that is marked for translation, without translations."""
    from babel.messages import Catalog
    from babel.messages.extract import extract

    catalogue = Catalog(domain="django", charset="utf-8")
    known = _known_to_libraries()
    for file, name, foreign in _files():
        text = file.read_text(encoding="utf-8")
        if file.suffix not in _CODE:
            # A template's indentation means nothing; Python's does.
            lines = templatize(text, origin=name).splitlines()
            text = "\n".join(line.lstrip() for line in lines)
        elif "translation import" not in text:
            continue
        stream = io.BytesIO(text.encode())
        options = {"encoding": "utf-8"}
        for _line, message, _comments, context in extract(
            "python", stream, _KEYWORDS, options=options
        ):
            if foreign and singular(message) in known:
                continue
            catalogue.add(message, locations=[(name, 0)], context=context)
    for file, name, foreign in _files():
        if file.suffix in _CODE and not foreign:
            for message in said_by_refusals(ast.parse(file.read_text(encoding="utf-8"))):
                catalogue.add(message, locations=[(name, 0)])
    return catalogue


def said_by_refusals(module: ast.Module) -> Iterator[str]:
    """Yield what refusals say where they are raised, of the whole and of fields.

    `SomeError("...")`, `errors={"field": ["..."]}`, `wrong["field"] = ["..."]`, and what a field of
    ours says; it is translated where it is read (`MpsError.detail`, `.errors`).
    """
    refusals = {each.__name__ for each in _below_class(MpsError)} | {"ValidationError"}
    for node in ast.walk(module):
        match node:
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in refusals:
                said = [*node.args[:1], *(each.value for each in node.keywords)]
            case ast.Assign(
                targets=[
                    ast.Subscript(value=ast.Name(id="wrong"))
                    | ast.Name(id="default_error_messages")
                ]
            ):
                said = [node.value]
            case _:
                continue
        for each in said:
            yield from _texts(each)


def _texts(node: ast.expr) -> Iterator[str]:
    match node:
        case ast.Constant(value=str(text)) if " " in text:
            yield text
        case ast.List(elts=parts) | ast.Dict(values=parts):
            for part in parts:
                yield from _texts(part)


def _below_class(parent: type) -> Iterator[type]:
    for each in parent.__subclasses__():
        yield each
        yield from _below_class(each)


def singular(text: Any) -> Any:
    """Return a message's own form, without that of the plural."""
    return text[0] if isinstance(text, (list, tuple)) else text


def _known_to_libraries() -> set[Any]:
    """Return what the framework's catalogues translate already."""
    from babel.messages.mofile import read_mo

    found: set[Any] = set()
    folders = [Path(django.conf.__path__[0]), *(Path(app.path) for app in apps.get_app_configs())]
    for folder in folders:
        file = folder / "locale" / to_locale(LANGUAGE) / "LC_MESSAGES" / "django.mo"
        if file.exists() and file != source(file.name):
            with file.open("rb") as stream:
                found.update(singular(message.id) for message in read_mo(stream))
    return found


def _files() -> Iterator[tuple[Path, str, bool]]:
    """Yield what may hold marked texts: the file, its name in the catalogue, whether it is not
    ours.
    """
    root: Path = settings.BASE_DIR
    for top in ("mps", "members", "merchants", "cards", "payments", "settlements"):
        for file in _below(root / top):
            yield file, file.relative_to(root).as_posix(), False
    for label in _FOREIGN_APPS:
        config = next(config for config in apps.get_app_configs() if config.name == label)
        base = Path(config.path)
        for file in _below(base):
            if label != "unfold" or "contrib" not in file.relative_to(base).parts:
                yield file, f"{label}/{file.relative_to(base).as_posix()}", True


def _below(folder: Path) -> list[Path]:
    return sorted(
        file
        for file in folder.rglob("*")
        if file.suffix in (*_CODE, *_TEMPLATES)
        and file.is_file()
        and not {"static", "migrations", "locale", "node_modules"} & set(file.parts)
    )
