"""Export lists as CSV or XLSX."""

from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from import_export import resources
from import_export.admin import ExportMixin
from import_export.formats import base_formats
from unfold.contrib.import_export.forms import ExportForm

from mps.base.core import spreadsheets

_ExportMixin: Any = ExportMixin
_CSV: Any = base_formats.CSV
_ModelResource: Any = resources.ModelResource
_make_resource: Any = resources.modelresource_factory
MAX_EXPORT = 10_000


class ConsoleResource(_ModelResource):  # type: ignore[misc]
    """Rows for a spreadsheet, where text must not become a formula."""

    def export_field(self, field: Any, instance: Any, **kwargs: Any) -> Any:
        """Return a cell; text that a spreadsheet would compute gets an apostrophe."""
        value = super().export_field(field, instance, **kwargs)
        return spreadsheets.as_cell(value) if isinstance(value, str) else value


class CsvWithBom(_CSV):  # type: ignore[misc]
    """CSV that spreadsheets read as UTF-8: it begins with a byte order mark."""

    def get_title(self) -> str:
        """Return the name under which the format is chosen."""
        return "csv"

    def export_data(self, dataset: Any, **kwargs: Any) -> str:
        """Return the file's text."""
        return f"\ufeff{super().export_data(dataset, **kwargs)}"


class Exported(_ExportMixin):  # type: ignore[misc]
    """A list that can be taken along as CSV or XLSX, as it is filtered; that is written down.

    :cvar export_fields: what of a row, by the names of the model's fields.
    """

    export_fields: ClassVar[tuple[str, ...]] = ()
    export_form_class = ExportForm
    formats = [CsvWithBom, base_formats.XLSX]

    def has_export_permission(self, request: HttpRequest) -> bool:
        """Return whether who is signed in may look at the list."""
        return bool(self.has_view_permission(request))

    def get_export_resource_classes(self, request: HttpRequest) -> list[Any]:
        """Return the one way a row is written."""
        options = {"fields": self.export_fields, "export_order": self.export_fields}
        return [_make_resource(self.model, ConsoleResource, options)]

    def get_export_data(
        self, file_format: Any, request: HttpRequest, queryset: QuerySet[Any], **kwargs: Any
    ) -> Any:
        """Return the file; :raises ValueError: the list is too long, which the page says."""
        rows = queryset[: MAX_EXPORT + 1].count()
        if rows > MAX_EXPORT:
            raise ValueError(
                _("More than %(max)s rows. Use the filters to narrow the list first.")
                % {"max": MAX_EXPORT}
            )
        self.admin_site.record(
            "DATA_EXPORTED",
            object_type=self.opts.model_name,
            object_id="",
            details={"rows": rows},
        )
        return super().get_export_data(file_format, request, queryset, **kwargs)
