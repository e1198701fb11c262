"""A listing as the roster wants it: its people read by a mapping, the rest passed on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from provisioning.roster import Page
from provisioning.roster.mapping import ColumnMap, page_of_documents

from . import Listing


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulled:
    """A `roster.Source`."""

    kind: str
    listing: Listing
    mapping: ColumnMap

    @property
    def fields(self) -> Sequence[str]:
        return self.mapping.fields

    def pages(self, cursor: Any) -> Iterator[Page]:
        for listed in self.listing.pages(cursor):
            yield page_of_documents(
                listed.documents,
                self.mapping,
                first_line=listed.first,
                cursor=listed.cursor,
                total=listed.total,
            )
