"""A query whose parameters are a message (RFC 7644 3.4.3), of one resource type or of all at once."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from scim2_models.exceptions import (
    InvalidCursorException,
    InvalidFilterException,
    InvalidSyntaxException,
    InvalidValueException,
)
from scim2_models.path import (
    AttrPath,
    CompareOperator,
    Comparison,
    FilterNode,
    FilterVisitor,
    LogicalExpr,
    LogicalOperator,
    Not,
    Present,
    ValuePath,
)

from provisioning.selectors.pages import Page
from scim import catalogue, cursors, filters, queries, responses
from scim.calls import Answer, Call
from scim.queries import Query
from scim.resources import Resources
from scim.schemas import JSON, ResourceKind

_NAMES = {"attributes": "attributes", "excludedattributes": "excludedAttributes"}
_TEXTS = {"filter": "filter", "sortby": "sortBy", "sortorder": "sortOrder", "cursor": "cursor"}
_NUMBERS = {"startindex": "startIndex", "count": "count"}


def of_type(resources: Resources[Any], call: Call) -> Answer:
    """What a GET of the type with these parameters would have answered."""
    call.credential.identified(call.at)
    return resources.find(replace(call, parameters=parameters_of(call.body())))


def of_types(call: Call) -> Answer:
    """Of all types at once."""
    call.credential.identified(call.at)
    return of_all(replace(call, parameters=parameters_of(call.body())))


def parameters_of(body: object) -> Mapping[str, str]:
    """The parameters of a SearchRequest, as those of a GET: by lower-case name, lists of names with commas."""
    if not isinstance(body, dict):
        raise InvalidSyntaxException(detail="The body is not a JSON object.")
    found: dict[str, str] = {}
    for key, value in body.items():
        name = key.lower()
        if value is None:
            continue
        if name in _NAMES:
            value = [value] if isinstance(value, str) else value
            if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
                raise InvalidValueException(detail=f"{_NAMES[name]}: this is not a list of names.")
            text = ",".join(value)
        elif name in _TEXTS:
            if not isinstance(value, str):
                raise InvalidValueException(detail=f"{_TEXTS[name]}: this is not a string.")
            text = value
        elif name in _NUMBERS:
            if isinstance(value, bool) or not isinstance(value, int | str):
                raise InvalidValueException(detail=f"{_NUMBERS[name]}: this is not an integer.")
            text = str(value)
        else:
            continue
        # RFC 9865 2: an empty cursor asks for the first page; of everything else nothing is said.
        if text or name == "cursor":
            found[name] = text
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """What is asked of one type. `filter` None: everything."""

    resources: Resources[Any]
    filter: str | None

    def call(self, call: Call, **parameters: str) -> Call:
        asked = {name: text for name, text in call.parameters.items() if name != "filter"} | parameters
        return replace(call, parameters=asked if self.filter is None else asked | {"filter": self.filter})


def of_all(call: Call) -> Answer:
    """The resources of all types, one type after the other, as if they were one list."""
    parts = _parts(call)
    if "sortby" in call.parameters and len(parts) > 1:
        raise InvalidValueException(
            detail='sortBy: resources of several types have no common order; add meta.resourceType eq "User".'
        )
    return _by_cursor(call, parts) if "cursor" in call.parameters else _by_index(call, parts)


def _by_index(call: Call, parts: Sequence[_Part]) -> Answer:
    start, asked = call.number("startIndex"), call.number("count")
    first = min(max(1 if start is None else start, 1), queries.LAST_INDEX)
    count = min(max(queries.DEFAULT_COUNT if asked is None else asked, 0), queries.MAX_COUNT)
    shown: list[JSON] = []
    total = 0
    for part in parts:
        begin = max(first - total, 1)
        page, _, found = _page(part, call, startindex=str(begin), count=str(count - len(shown)))
        shown += found
        total += page.total or 0
    return Answer(
        status=200,
        body={
            "schemas": [responses.LIST_URN],
            "totalResults": total,
            "startIndex": first,
            "itemsPerPage": len(shown),
            "Resources": shown,
        },
        results=len(shown),
    )


def _by_cursor(call: Call, parts: Sequence[_Part]) -> Answer:
    """A page ends with its type. The cursor says in which type the list goes on."""
    asked = call.parameters
    seal = cursors.Query(
        tenant_id=call.caller.tenant_id,
        connection_id=call.caller.connection_id,
        resource_type="",
        count=cursors.page_size(asked.get("count"), default=queries.DEFAULT_COUNT, most=queries.MAX_COUNT),
        filter=asked.get("filter", ""),
        sort_by=asked.get("sortby", ""),
        sort_order=asked.get("sortorder", ""),
    )
    names = [part.resources.name for part in parts]
    begin, cursor = 0, ""
    if (continued := cursors.opened_part(asked["cursor"], seal, call.at)) is not None:
        if continued.resource_type not in names:
            raise InvalidCursorException(detail="cursor: what it continues is no longer there. Begin again.")
        begin, cursor = names.index(continued.resource_type), continued.cursor
    following: cursors.Part | None = None
    shown: list[JSON] = []
    for number in range(begin, len(parts)):
        page, query, shown = _page(parts[number], call, cursor=cursor)
        cursor = query.following(page, call)
        if cursor:
            following = cursors.Part(resource_type=names[number], cursor=cursor)
        else:
            following = cursors.Part(resource_type=names[number + 1]) if number + 1 < len(parts) else None
        if shown or not seal.count:
            break
    body: JSON = {"schemas": [responses.LIST_URN], "itemsPerPage": len(shown)}
    if following:
        body["nextCursor"] = cursors.sealed_part(following, seal, call.at)
    body["Resources"] = shown
    return Answer(status=200, body=body, results=len(shown))


def _page(part: _Part, call: Call, **parameters: str) -> tuple[Page[Any], Query, list[JSON]]:
    resources = part.resources
    page, query, wanted, kind = resources.page(part.call(call, **parameters))
    return page, query, [wanted.of(resources.resource_of(found, kind, wanted)) for found in page.found]


def _parts(call: Call) -> list[_Part]:
    """The types that can hold any match, in the order of discovery.

    RFC 7644 3.4.2.1: for attributes "that are not part of a particular resource type, the service provider SHALL
    treat the attribute as if there is no attribute value". One that no type has is a mistake: InvalidFilter.
    """
    kinds = catalogue.shown_to(call.caller)
    types = [(one, kinds[one.name]) for one in catalogue.every() if one.name in kinds]
    text = call.parameters.get("filter")
    if not text:
        return [_Part(resources=one, filter=None) for one, _ in types]
    node = filters.parsed(text)
    for path in _Paths().visit(node):
        if not any(_has(kind, path) for _, kind in types):
            raise InvalidFilterException(detail=f"{str(path)[:200]}: no resource type has such an attribute.")
    parts = []
    for one, kind in types:
        left = _Reduced(kind).visit(node)
        if left is not False:
            again = text if left == node else str(left)
            parts.append(_Part(resources=one, filter=None if left is True else again))
    return parts


def _has(kind: ResourceKind, path: AttrPath) -> bool:
    attribute = kind.attribute(path.uri, path.attr)
    return attribute is not None and (path.sub_attr is None or attribute.sub(path.sub_attr) is not None)


class _Paths(FilterVisitor[Collection[AttrPath]]):
    """The attributes of resources that a filter names."""

    def visit_comparison(self, node: Comparison) -> Collection[AttrPath]:
        return [node.attr_path]

    def visit_present(self, node: Present) -> Collection[AttrPath]:
        return [node.attr_path]

    def visit_value_path(self, node: ValuePath) -> Collection[AttrPath]:
        return [node.attr_path]

    def visit_not(self, node: Not) -> Collection[AttrPath]:
        return self.visit(node.expr)

    def visit_logical_expr(self, node: LogicalExpr) -> Collection[AttrPath]:
        return [path for term in node.terms for path in self.visit(term)]


class _Reduced(FilterVisitor["FilterNode | bool"]):
    """What a filter asks of one type: True or False where that is known without a look at any resource."""

    def __init__(self, kind: ResourceKind) -> None:
        self.kind = kind

    def visit_comparison(self, node: Comparison) -> FilterNode | bool:
        path, op = node.attr_path, node.op
        equals, differs = op is CompareOperator.eq, op is CompareOperator.ne
        if not _has(self.kind, path):
            return equals if node.value is None else differs
        if str(path).lower() == "meta.resourcetype" and isinstance(node.value, str) and (equals or differs):
            return (node.value == self.kind.name) is equals
        return node

    def visit_present(self, node: Present) -> FilterNode | bool:
        return node if _has(self.kind, node.attr_path) else False

    def visit_value_path(self, node: ValuePath) -> FilterNode | bool:
        return node if _has(self.kind, node.attr_path) else False

    def visit_not(self, node: Not) -> FilterNode | bool:
        inner = self.visit(node.expr)
        return not inner if isinstance(inner, bool) else Not(expr=inner)

    def visit_logical_expr(self, node: LogicalExpr) -> FilterNode | bool:
        decisive = node.op is LogicalOperator.or_
        left: list[FilterNode] = []
        for term in node.terms:
            found = self.visit(term)
            if found is decisive:
                return decisive
            if not isinstance(found, bool):
                left.append(found)
        if not left:
            return not decisive
        return left[0] if len(left) == 1 else LogicalExpr(op=node.op, terms=tuple(left))
