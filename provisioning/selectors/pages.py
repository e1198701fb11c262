"""How a SCIM resource, or a page of them, is read together with the token that asks: in one statement.

Knows what every kind of resource has in common; each kind's own module says what its table is.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from provisioning import sql
from provisioning.selectors.conditions import Condition
from provisioning.selectors.tokens import CALLER, Caller, caller_in

Document = TypeVar("Document")

HEAVIEST = 20_000
"""How many members the groups of one page have together. RFC 7644 3.4.2.4 lets it hold fewer than were asked for."""


def instant(column: str) -> str:
    """The column as RFC 3339 text in milliseconds and UTC, as clients read it."""
    return f"""to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table(Generic[Document]):
    """Where one kind of resource is stored.

    `scope` ties a row to the caller's tenant and connection. `columns` begin with the id. `related` are columns
    derived from memberships, by name: one of them, or none, is read as the last. `weight` is a column that says how
    much they hold, where that may be a lot. `document` makes a resource of a row, and is told which.
    """

    name: str
    alias: str
    scope: str
    columns: str
    width: int
    document: Callable[[Sequence[Any], str], Document]
    related: Mapping[str, str] = field(default_factory=dict)
    weight: str = ""
    by_connection: bool = True
    """Whether a row is of one connection, not of all of its tenant."""

    def selected(self, related: str) -> str:
        return f"{self.columns}, {self.related[related] if related else 'NULL'} AS related"


def at_once() -> None:
    """There is no limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A page to be read: `order` and `keys` are made by the face from its schema.

    `after` is where a cursor continues; with it nothing is counted and nothing skipped. `keys` are the columns
    that the next cursor needs of the page's last row. `tenant_id` and `connection_id` are the caller's, as far as is
    known beforehand: what is not prepared is planned for them.
    """

    order: str
    limit: int
    tenant_id: UUID
    connection_id: UUID
    condition: Condition | None = None
    after: Condition | None = None
    keys: str = ""
    offset: int = 0
    related: str = ""
    counted: bool = True
    prepared: bool = True
    """Of few shapes, and of few rows whoever asks, so that one plan is worth keeping. A plan takes megabytes, and
    clients invent filters; and what is right for a large connection walks past all of it for a small one."""
    pace: Callable[[], None] = at_once
    """Called before every statement but the first: what all of them may take is the face's to say."""
    peeks: bool = False
    """To read one row more than is shown, which says whether there is a next page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[Document]):
    """`total` is None where it was not counted; `keys` are what was asked of the last row beside its document.

    `more` says that the page has a successor, where that was asked.
    """

    found: list[Document]
    total: int | None = None
    keys: tuple[Any, ...] = ()
    more: bool = False


def read(
    table: Table[Document], token_digest: bytes, at: datetime, resource_id: UUID, *, related: str = ""
) -> tuple[Caller | None, Document | None]:
    """The token's caller and one of its resources. No caller, no resource."""
    found = sql.rows(
        f"{CALLER} SELECT caller.who, {table.selected(related)} FROM caller "  # noqa: S608 - the table's own names
        f"LEFT JOIN {table.name} {table.alias} ON {table.scope} AND {table.alias}.id = %s::uuid",
        (token_digest, at, resource_id),
    )
    if not found:
        return None, None
    who, *own = found[0]
    return caller_in(who, at), table.document(own, related) if own[0] is not None else None


def page(
    table: Table[Document], token_digest: bytes, at: datetime, wanted: Wanted
) -> tuple[Caller | None, Page[Document]]:
    """The token's caller and a page of its resources.

    A second statement counts where it is asked for and the page does not tell the number by itself.
    """
    given = [one for one in (wanted.condition, wanted.after) if one is not None]
    narrowed = "".join(f" AND ({one.text})" for one in given)
    values = tuple(value for one in given for value in one.parameters)
    if table.by_connection and not wanted.prepared:
        narrowed += f" AND {table.alias}.tenant_id = %s AND {table.alias}.connection_id = %s"
        values += (wanted.tenant_id, wanted.connection_id)
    keys = f", {wanted.keys}" if wanted.keys else ""
    weighed = bool(wanted.related and table.weight)
    selected = f"{table.columns}, {table.weight}" if weighed else table.selected(wanted.related)
    nothing = ", NULL" * (table.width + bool(keys))
    # Who asks is the first row, also of an empty page.
    found = sql.rows(
        f"{CALLER}, page AS ("  # noqa: S608 - the face's fragments
        f"SELECT page.* FROM caller CROSS JOIN LATERAL ("
        f"SELECT {selected}{keys} FROM {table.name} {table.alias} "
        f"WHERE {table.scope}{narrowed} ORDER BY {wanted.order} LIMIT %s::bigint OFFSET %s::bigint) page"
        f") SELECT who{nothing} FROM caller UNION ALL SELECT NULL, page.* FROM page",
        (token_digest, at, *values, wanted.limit + wanted.peeks, wanted.offset),
        prepared=wanted.prepared,
    )
    if not found:
        return None, Page(found=[])
    caller = caller_in(found[0][0], at)
    rows = [row[1:] for row in found[1:]]
    own = rows[: wanted.limit]
    if weighed:
        wanted.pace()
        own = _related(table, token_digest, at, own, wanted.related)
    total = None
    if wanted.offset == 0 and len(rows) < wanted.limit and wanted.after is None:
        total = len(rows)
    elif wanted.counted:
        wanted.pace()
        counted = sql.rows(
            f"{CALLER} SELECT count(*) FROM caller JOIN {table.name} {table.alias} "  # noqa: S608 - the face's fragments
            f"ON {table.scope}{narrowed}",
            (token_digest, at, *values),
            prepared=wanted.prepared,
        )
        total = int(counted[0][0])
    width = table.width
    return caller, Page(
        found=[table.document(row[:width], wanted.related) for row in own],
        total=total,
        keys=own[-1][width:] if own else (),
        more=len(rows) > len(own),
    )


def _related(
    table: Table[Document], token_digest: bytes, at: datetime, rows: list[tuple[Any, ...]], related: str
) -> list[tuple[Any, ...]]:
    """As many rows as weigh no more than HEAVIEST together, the first in any case, with what is derived for each."""
    place = table.width - 1
    kept: list[tuple[Any, ...]] = []
    weight = 0
    for row in rows:
        weight += row[place]
        if kept and weight > HEAVIEST:
            break
        kept.append(row)
    found = dict(
        sql.rows(
            f"{CALLER} SELECT {table.alias}.id, {table.related[related]} FROM caller "  # noqa: S608 - the table's own names
            f"JOIN {table.name} {table.alias} ON {table.scope} AND {table.alias}.id = ANY(%s::uuid[])",
            (token_digest, at, sql.ids(row[0] for row in kept)),
        )
    )
    return [(*row[:place], found.get(row[0]), *row[place + 1 :]) for row in kept]
