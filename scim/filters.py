"""A filter parameter as a condition on columns (RFC 7644 3.4.2.2). Knows no tenant: its user adds theirs.

A term that cannot be compiled refuses the whole filter, so a filter never means more than it says. It is
compiled before anything is looked up: a wrong name is refused on an empty table too.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from django.db.models import Exists, OuterRef, Q
from scim2_models.exceptions import InvalidFilterException
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
    ScimFilter,
    ValuePath,
)

from provisioning.decision.keys import fold
from provisioning.models import Membership
from scim.documents import storable
from scim.identifiers import identifier
from scim.schemas import GROUP, USER, Attribute, ResourceKind
from scim.selection import operand, sub_attribute

_NOBODY = Q(pk__in=[])

Column = Callable[[Any], Q]

# The look-up that every client sends for every person; the grammar takes ten times as long to say the same.
_SIMPLE = re.compile(r'([A-Za-z]+) +eq +"([^"\\\x00-\x1f]*)"', re.IGNORECASE)
# Inside a quoted string nothing is touched; after an operator, whatever is no literal becomes one.
_UNQUOTED = re.compile(
    r'("(?:[^"\\]|\\.)*")|(\s(?:eq|ne|co|sw|ew|gt|ge|lt|le)\s+)'
    r"(?!(?:true|false|null)(?:[\s)\]]|$))([^\s()\[\]\"]+)",
    re.IGNORECASE,
)


def _id(value: str) -> Q:
    found = identifier(value)
    return Q(pk=found) if found else _NOBODY


def _lower(column: str) -> Column:
    return lambda value: Q(**{column: fold(value)})


def _exact(column: str) -> Column:
    return lambda value: Q(**{column: value})


def _email(value: str, kind: str | None = None) -> Q:
    # The index writes type:value, so with a colon of its own "work:a@b" would find the work address of a@b.
    if ":" in value.partition("@")[0] or ":" in (kind or ""):
        return _NOBODY
    return Q(email_keys__contains=[fold(value if kind is None else f"{kind}:{value}")])


def _member(value: str) -> Q:
    """Entra asks `id eq "..." and members eq "..."`; a subquery, so that no group is counted twice."""
    found = identifier(value)
    if found is None:
        return _NOBODY
    return Q(
        Exists(Membership.objects.filter(tenant=OuterRef("tenant"), group=OuterRef("pk"), account=found))
    )


_COLUMNS: Mapping[str, Mapping[str, Column]] = {
    USER.name: {
        "id": _id,
        "externalId": _exact("external_id"),
        "userName": _lower("user_name_key"),
        "displayName": _exact("resource__displayName__iexact"),
        "active": _exact("active"),
        "emails": _email,
        "emails.value": _email,
    },
    GROUP.name: {
        "id": _id,
        "externalId": _exact("external_id"),
        "displayName": _lower("display_name_key"),
        "members": _member,
        "members.value": _member,
    },
}
"""What each attribute that can be filtered compares with, by the case rule of its schema."""


def compiled(kind: ResourceKind, text: str) -> Q:
    """The condition that a filter means for this kind of resource. InvalidFilter where any part has none."""
    return _Conditions(kind).visit(parsed(text))


def parsed(text: str) -> FilterNode:
    """The syntax tree. An unquoted word after an operator is a string: Entra's own tutorial sends that."""
    if simple := _SIMPLE.fullmatch(text):
        return Comparison(AttrPath(attr=simple[1]), CompareOperator.eq, simple[2])
    try:
        return ScimFilter(text).ast
    except InvalidFilterException:
        quoted = _UNQUOTED.sub(_quoted, text)
        if quoted == text:
            raise
        return ScimFilter(quoted).ast


def _quoted(found: re.Match[str]) -> str:
    return found[1] or f"{found[2]}{ScimFilter.quote(found[3])}"


class _Conditions(FilterVisitor[Q]):
    def __init__(self, kind: ResourceKind) -> None:
        self.kind = kind
        self.columns = _COLUMNS[kind.name]

    def visit_comparison(self, node: Comparison) -> Q:
        name, attribute = self._named(node.attr_path)
        column = self.columns.get(name)
        if column is None:
            raise InvalidFilterException(detail=f"{name}: this attribute cannot be filtered by.")
        return column(self._operand(node, attribute))

    def visit_logical_expr(self, node: LogicalExpr) -> Q:
        terms = [self.visit(term) for term in node.terms]
        combined = terms[0]
        for term in terms[1:]:
            combined = combined & term if node.op is LogicalOperator.and_ else combined | term
        return combined

    def visit_value_path(self, node: ValuePath) -> Q:
        """`emails[type eq "work" and value eq "a@b"]`: both in one element, so it is one key of the index."""
        name, attribute = self._named(node.attr_path)
        if self.kind is not USER or name != "emails":
            raise InvalidFilterException(detail=f"{name}: this attribute cannot be filtered by its values.")
        inner = node.val_filter
        terms = inner.terms if isinstance(inner, LogicalExpr) else (inner,)
        if isinstance(inner, LogicalExpr) and inner.op is not LogicalOperator.and_:
            raise InvalidFilterException(detail="emails: only and is supported between the brackets.")
        wanted: dict[str, str] = {}
        for term in terms:
            if not isinstance(term, Comparison):
                raise InvalidFilterException(detail="emails: only eq is supported between the brackets.")
            sub = sub_attribute(attribute, term.attr_path)
            if sub.name not in ("type", "value"):
                raise InvalidFilterException(detail=f"emails.{sub.name}: this cannot be filtered by.")
            text = self._operand(term, sub).lower()
            if wanted.setdefault(sub.name, text) != text:
                return _NOBODY
        if "value" not in wanted:
            raise InvalidFilterException(detail="emails: a filter needs the value, too.")
        return _email(wanted["value"], wanted.get("type"))

    def visit_present(self, node: Present) -> Q:
        raise InvalidFilterException(detail=f"{node.attr_path}: pr is not supported.")

    def visit_not(self, node: Not) -> Q:
        raise InvalidFilterException(detail="not is not supported.")

    def _named(self, path: AttrPath) -> tuple[str, Attribute]:
        """The attribute's name as the schema spells it, with its last part's characteristics."""
        attribute = self.kind.attribute(path.uri, path.attr)
        if attribute is None:
            raise InvalidFilterException(detail=f"{path}: the {self.kind.name} schema has no such attribute.")
        if path.sub_attr is None:
            return attribute.name, attribute
        sub = attribute.sub(path.sub_attr)
        if sub is None:
            raise InvalidFilterException(detail=f"{path}: {attribute.name} has no such sub-attribute.")
        return f"{attribute.name}.{sub.name}", sub

    def _operand(self, node: Comparison, attribute: Attribute) -> Any:
        if node.op is not CompareOperator.eq:
            raise InvalidFilterException(detail=f"{node.attr_path}: only eq is supported.")
        if attribute.type == "complex":
            # RFC 7644 3.4.2.2 writes `emails co "example.com"` where it means the values.
            attribute = attribute.sub("value") or attribute
        value = operand(attribute, node.value)
        if isinstance(value, str) and not storable(value):
            raise InvalidFilterException(
                detail=f"{node.attr_path}: the value holds a character that is no text."
            )
        return value
