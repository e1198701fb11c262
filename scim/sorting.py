"""What a list is ordered by (RFC 7644 3.4.2.3), and where a page of it begins. Knows no request and no cursor."""

from dataclasses import dataclass
from uuid import UUID

from scim2_models.exceptions import InvalidPathException, InvalidValueException
from scim2_models.path import AttrPath, Path

from provisioning.selectors.conditions import Condition
from scim.columns import EXACT, FOLDED, Form, Place, instant_of, number_of, table_of
from scim.schemas import Attribute, ResourceKind

_MAX_LENGTH = 1024
_TELLING = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A row in the order: its id, and what it is ordered by as text (None where it has no such value).

    Without sortBy there is nothing but the id, and `key` is None.
    """

    id: UUID
    key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sorting:
    """An order of one kind of resource. `id` is its id column, which settles every tie; `alone` is how it is ordered
    by where there is nothing else.

    `expression` is "" for the order of ids; `cast` is its type, and `optional` says that it may be null. `scans`
    says that no index serves the order: the connection's rows are read.
    """

    id: str
    alone: str = "{}"
    expression: str = ""
    cast: str = "text"
    descending: bool = False
    optional: bool = False
    scans: bool = False

    @property
    def order(self) -> str:
        """What stands behind ORDER BY.

        RFC 7644 3.4.2.3: resources without a value "are ordered last if ascending and first if descending", which
        is what PostgreSQL does with nulls.
        """
        direction = " DESC" if self.descending else ""
        parts = (self.expression, self.id) if self.expression else (self.alone.format(self.id),)
        return ", ".join(f"{part}{direction}" for part in parts)

    @property
    def keys(self) -> str:
        """The column that a page must read for the next one to begin behind it; "" for none."""
        return f"({self.expression})::text" if self.expression else ""

    def after(self, position: Position) -> Condition:
        """The rows behind this one."""
        sign = "<" if self.descending else ">"
        if not self.expression:
            text = f"{self.alone.format(self.id)} {sign} {self.alone.format('%s::uuid')}"
            return Condition(text, (position.id,))
        behind = f"{self.id} {sign} %s::uuid"
        if position.key is None:
            text = f"({self.expression} IS NULL AND {behind})"
            if self.descending:
                text = f"({text} OR {self.expression} IS NOT NULL)"
            return Condition(text, (position.id,))
        text = f"({self.expression}, {self.id}) {sign} (%s::{self.cast}, %s::uuid)"
        if self.optional and not self.descending:
            text = f"({text} OR {self.expression} IS NULL)"
        return Condition(text, (position.key, position.id))


def sorting(kind: ResourceKind, sort_by: str = "", sort_order: str = "") -> Sorting:
    """The order that `sortBy` and `sortOrder` ask for; by id without them.

    InvalidValue for an attribute that there is none of or that has no order: RFC 7644 3.12 keeps `invalidPath`
    for the path of a PATCH, and gives `invalidValue` to a value that is "not compatible with the operation or
    attribute type, or resource schema".
    """
    if sort_order.lower() not in ("", "ascending", "descending"):
        raise InvalidValueException(detail="sortOrder: this is neither ascending nor descending.")
    table, descending = table_of(kind), sort_order.lower() == "descending"
    row_id = f"{table.alias}.id"
    # Accounts are paged by an index of their ids' bytes.
    by_id = Sorting(id=row_id, descending=descending, alone="uuid_send({})" if table.alias == "a" else "{}")
    if not sort_by:
        return by_id
    path = _path(sort_by)
    attribute, sub = _named(kind, path)
    extension = kind.extension(path.uri) if path.uri else None
    holder = table.held(extension.urn) if extension else table.row
    found: Place | None
    if attribute.multi_valued:
        found = holder.leading(attribute, sub)
    elif sub is not None:
        found = holder.inside(attribute).place(sub)
    else:
        found = holder.place(attribute)
    if found is None:
        raise _refused(sort_by, "this attribute cannot be sorted by.")
    if found.form is Form.ID:
        return by_id
    expression, cast = _ordered(found, sub or attribute)
    return Sorting(
        id=row_id,
        expression=expression,
        cast=cast,
        descending=descending,
        optional=not found.always,
        scans=not (found.ordered and found.always),
    )


def _path(text: str) -> AttrPath:
    if len(text) > _MAX_LENGTH:
        raise _refused(text, "this is no attribute.")
    try:
        path = Path(text).ast
    except InvalidPathException as error:
        raise _refused(text, "this is no attribute.") from error
    if not isinstance(path, AttrPath):
        raise _refused(text, "this is no attribute.")
    return path


def _named(kind: ResourceKind, path: AttrPath) -> tuple[Attribute, Attribute | None]:
    """(attribute, the sub-attribute whose values count or None)."""
    name = str(path)
    attribute = kind.attribute(path.uri, path.attr)
    if attribute is None:
        raise _refused(name, f"the {kind.name} schema has no such attribute.")
    sub = None
    if path.sub_attr is not None:
        sub = attribute.sub(path.sub_attr)
        if sub is None:
            raise _refused(name, f"{attribute.name} has no such sub-attribute.")
    elif attribute.type == "complex":
        # RFC 7644 3.4.2.3: "the attribute name must be a path to a sub-attribute"; elements have a value.
        sub = attribute.sub("value") if attribute.multi_valued else None
        if sub is None:
            raise _refused(name, "sort by one of its sub-attributes.")
    for one in (attribute, sub):
        if one is not None and (one.returned == "never" or one.mutability == "writeOnly"):
            # An order would tell, person by person, what is never shown.
            raise _refused(name, "this attribute cannot be sorted by.")
    leaf = sub or attribute
    if leaf.type in ("binary", "complex") or (sub is not None and sub.multi_valued):
        raise _refused(name, "this attribute has no order.")
    return attribute, sub


def _ordered(place: Place, attribute: Attribute) -> tuple[str, str]:
    """(what is ordered by, its type). The values of text are compared by code points."""
    match place.form:
        case Form.KEY:
            return EXACT.format(place.sql), "text"
        case Form.BOOLEAN:
            return place.sql, "boolean"
        case Form.INSTANT:
            return place.sql, "timestamptz"
    if attribute.type == "boolean":
        return f"CASE jsonb_typeof({place.sql}) WHEN 'boolean' THEN {place.sql}::boolean END", "boolean"
    if attribute.type in ("integer", "decimal"):
        return number_of(place), "numeric"
    if attribute.type == "dateTime":
        return instant_of(place), "timestamptz"
    text = place.text if attribute.case_exact else FOLDED.format(place.text)
    # A cursor carries the value in a URL; of longer ones the beginning counts, then the id.
    return EXACT.format(f"left({text}, {_TELLING})" if place.form is Form.JSON else text), "text"


def _refused(path: str, why: str) -> InvalidValueException:
    return InvalidValueException(detail=f"sortBy {path[:200]}: {why}")
