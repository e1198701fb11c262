"""Lists as CSV that a spreadsheet may open. Knows no model."""

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponseRedirect, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path

# OWASP, CSV injection: a cell that begins so is run as a formula when somebody opens the file.
_RUNS = ("=", "+", "-", "@", "\t", "\r")


def cell(value: Any) -> str:
    """The text of a value, harmless in a spreadsheet."""
    if value is None:
        return ""
    text = value.isoformat() if isinstance(value, datetime) else str(value)
    # Spaces in front do not stop every spreadsheet from seeing the formula.
    return f"'{text}" if text.lstrip(" \n").startswith(_RUNS) else text


class _Echo:
    def write(self, value: str) -> str:
        return value


def lines(header: Iterable[str], rows: Iterable[Iterable[Any]]) -> Iterator[str]:
    writer = csv.writer(_Echo())
    yield writer.writerow(header)
    for row in rows:
        yield writer.writerow([cell(value) for value in row])


class Exported:
    """A page whose list, as filtered and searched, can be taken along as CSV."""

    export_columns: Mapping[str, Callable[[Any], Any]] = {}
    list_before_template = "provisioning/admin/export_link.html"

    def get_urls(self) -> list[URLPattern]:
        name = f"{self.opts.app_label}_{self.opts.model_name}_export"  # type: ignore[attr-defined]
        view = self.admin_site.admin_view(self.export_view)  # type: ignore[attr-defined]
        return [path("export/", view, name=name), *super().get_urls()]  # type: ignore[misc]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponseBase:
        context = {**(extra_context or {}), "export_query": request.GET.urlencode()}
        return super().changelist_view(request, context)  # type: ignore[misc, no-any-return]

    def export_view(self, request: HttpRequest) -> HttpResponseBase:
        page = self.changelist_view(request)
        listed = getattr(page, "context_data", {}).get("cl")
        if listed is None:
            # What the list itself would not show (no permission, a filter without sense), it does not export.
            return page if page.status_code != 200 else HttpResponseRedirect("..")
        rows = listed.get_queryset(request).iterator(chunk_size=2000)
        body = lines(
            self.export_columns, ([read(row) for read in self.export_columns.values()] for row in rows)
        )
        response = StreamingHttpResponse(body, content_type="text/csv; charset=utf-8")
        response["Content-Disposition"] = f'attachment; filename="{self.opts.model_name}.csv"'  # type: ignore[attr-defined]
        response["Cache-Control"] = "no-store"
        return response
