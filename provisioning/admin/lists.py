"""How a list of any length is shown: its first rows are found once, the others are only known to be there.

Knows no model. Counting a million rows costs more than showing a page of them, and nobody turns twenty pages.
"""

from typing import Any

from django.core.paginator import Page, Paginator
from django.http import HttpRequest
from django.utils.functional import cached_property
from unfold.views import ChangeList

COUNTED_AT_MOST = 1_000


class Counted(Paginator):
    """Asks once for the keys of the first rows in their order; that says how many there are, and which a page shows."""

    template_name = "provisioning/admin/pages.html"
    most = COUNTED_AT_MOST

    @cached_property
    def keys(self) -> list[Any]:
        rows = self.object_list.select_related(None).prefetch_related(None)  # type: ignore[union-attr]
        return list(rows.values_list("pk", flat=True)[: self.most + 1])

    @cached_property
    def count(self) -> int:
        return min(len(self.keys), self.most)

    @property
    def is_longer(self) -> bool:
        return len(self.keys) > self.most

    def page(self, number: Any) -> Page[Any]:
        number = self.validate_number(number)
        first = (number - 1) * self.per_page
        shown = self.keys[: self.most][first : first + self.per_page]
        return self._get_page(self.object_list.filter(pk__in=shown), number, self)  # type: ignore[union-attr]


class ShownList(ChangeList):
    """Numbers beside the rows (`TenantAdmin.numbered`) are asked for of the page that is shown alone."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if isinstance(self.paginator, Counted):
            # Where one page is enough Django would look for its rows anew.
            self.result_list = self.paginator.page(self.page_num).object_list
            if self.paginator.is_longer or not (self.query or self.has_active_filters):
                # Nothing was left out, or nobody knows how much: no "results" beside the title.
                self.full_result_count = self.result_count
        self.result_list = self.model_admin.numbered(self.result_list)
