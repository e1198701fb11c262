"""What a list asks for: filter, order, page. From a call's parameters to what a selector reads."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from provisioning.selectors.conditions import Condition
from provisioning.selectors.pages import Page, Wanted, at_once
from provisioning.selectors.tokens import Caller
from scim import cursors
from scim.calls import Call
from scim.filters import compile_filter
from scim.schemas import ResourceKind
from scim.sorting import Position, Sorting, sorting

MAX_COUNT = 500
DEFAULT_COUNT = 100
# An offset is a bigint in PostgreSQL; no table comes near.
LAST_INDEX = 2**53


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One list request. `start` is 1-based (RFC 7644 3.4.2.4); `seal` is there where pages follow by cursor."""

    caller: Caller
    condition: Condition | None
    sorting: Sorting
    start: int
    count: int
    seal: cursors.Query | None = None
    continued: cursors.Page | None = None

    def wanted(self, *, related: str, pace: Callable[[], None]) -> Wanted:
        """What to read. `pace` is asked before every further statement."""
        return Wanted(
            order=self.sorting.order,
            limit=self.count,
            tenant_id=self.caller.tenant_id,
            connection_id=self.caller.connection_id,
            condition=self.condition,
            after=self.sorting.after(self.continued.after) if self.continued else None,
            keys=self.sorting.keys if self.seal else "",
            offset=self.start - 1,
            related=related,
            # RFC 9865 lets a service provider leave totalResults out: nobody counts to turn a page.
            counted=self.seal is None,
            peeks=self.seal is not None,
            prepared=self.plain and self.condition is not None,
            pace=at_once if self.plain else pace,
        )

    @property
    def plain(self) -> bool:
        """Whether it is sure to end at once, and comes in few shapes. An index that serves some term of a filter
        says nothing of the rest: `userName ge "" and (...)` is served by one."""
        return not self.sorting.scans and (self.condition is None or self.condition.plain)

    def total(self, page: Page[Any]) -> int | None:
        """How many there are in all, where that is known without counting to turn a page."""
        if self.continued is not None:
            return self.continued.total
        return page.total

    def following(self, page: Page[Any], call: Call) -> str:
        """The cursor of the next page; "" where there is none or nobody asked."""
        if self.seal is None or not page.more or not page.found:
            return ""
        last = Position(id=page.found[-1].id, key=page.keys[0] if page.keys else None)
        return cursors.sealed(cursors.Page(after=last, total=self.total(page)), self.seal, call.at)


def query(kind: ResourceKind, call: Call, caller: Caller) -> Query:
    """What the parameters ask of this kind; a SCIMException where they ask for what there is not."""
    asked = call.parameters
    text = asked.get("filter", "")
    sort_by, sort_order = asked.get("sortby", ""), asked.get("sortorder", "")
    condition = compile_filter(kind, text) if text else None
    order = sorting(kind, sort_by, sort_order)
    if "cursor" in asked:
        count = cursors.page_size(asked.get("count"), default=DEFAULT_COUNT, most=MAX_COUNT)
        seal = cursors.Query(
            tenant_id=caller.tenant_id,
            connection_id=caller.connection_id,
            resource_type=kind.name,
            count=count,
            filter=text,
            sort_by=sort_by,
            sort_order=sort_order,
        )
        continued = cursors.opened(asked["cursor"], seal, call.at)
        return Query(
            caller=caller,
            condition=condition,
            sorting=order,
            start=1,
            count=count,
            seal=seal,
            continued=continued,
        )
    # RFC 7644 3.4.2.4: a startIndex "less than 1 SHALL be interpreted as 1", a negative count as 0.
    start, count_ = call.number("startIndex"), call.number("count")
    return Query(
        caller=caller,
        condition=condition,
        sorting=order,
        start=min(max(1 if start is None else start, 1), LAST_INDEX),
        count=min(max(DEFAULT_COUNT if count_ is None else count_, 0), MAX_COUNT),
    )
