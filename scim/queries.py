"""What a list asks for: filter, order, page. From a call's parameters to what a selector reads."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from django.db import OperationalError, transaction
from scim2_models.exceptions import TooManyException

from provisioning import sql
from provisioning.selectors.conditions import Condition
from provisioning.selectors.pages import Page, Wanted
from provisioning.selectors.tokens import Caller
from scim import filters
from scim.calls import Call
from scim.schemas import ResourceKind

MAX_COUNT = 500
DEFAULT_COUNT = 100
SCAN_SECONDS = 5
# An offset is a bigint in PostgreSQL; no table comes near.
_LAST_INDEX = 2**53
_CANCELED = "57014"

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One list request. `start` is 1-based (RFC 7644 3.4.2.4); `cursor` says that pages follow by cursor."""

    condition: Condition | None
    start: int
    count: int
    cursor: bool = False

    def wanted(self, *, related: str) -> Wanted:
        return Wanted(
            order="id",
            limit=self.count,
            condition=self.condition,
            offset=self.start - 1,
            related=related,
        )

    def following(self, page: Page[Any], caller: Caller) -> str:
        """The cursor of the next page; "" where there is none or nobody asked."""
        return ""


def query(kind: ResourceKind, call: Call, caller: Caller) -> Query:
    """RFC 7644 3.4.2.4: a startIndex "less than 1 SHALL be interpreted as 1", a negative count as 0."""
    start, count = call.number("startIndex"), call.number("count")
    text = call.parameters.get("filter")
    return Query(
        condition=filters.compile_filter(kind, text) if text else None,
        start=min(max(1 if start is None else start, 1), _LAST_INDEX),
        count=min(max(DEFAULT_COUNT if count is None else count, 0), MAX_COUNT),
    )


def limited(asked: Wanted, ask: Callable[[], T]) -> T:
    """A filter that no index serves reads the connection's rows, for some seconds at most: then 400 tooMany."""
    if asked.condition is None or not asked.condition.scans:
        return ask()
    try:
        with transaction.atomic():
            sql.execute(f"SET LOCAL statement_timeout = '{SCAN_SECONDS}s'")
            return ask()
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", None) != _CANCELED:
            raise
        raise TooManyException(
            detail=f"The filter took longer than {SCAN_SECONDS} s; name an attribute that eq or sw can look up."
        ) from error
