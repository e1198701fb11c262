"""What a PATCH or a body wants of a group, as sets of member ids. Knows no request, no database, no member.

A group is never loaded to be changed: an operation becomes "add these", "remove those" or "exactly these", so
a PATCH costs what it changes (RFC 7644 3.5.2; Entra, Okta and authentik each send another form).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from scim2_models.exceptions import InvalidFilterException, InvalidValueException, MutabilityException
from scim2_models.path import (
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

from scim.documents import accepted, canonical
from scim.identifiers import identifier
from scim.patch import Operation, Target, as_list, steps
from scim.schemas import GROUP, JSON, Attribute
from scim.selection import operand, sub_attribute

_MEMBERS = GROUP.attributes["members"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupChange:
    """What one request wants. None and False leave things as they are.

    `unknown` are values that cannot be an id of this server; whether they refuse the request is the
    connection's option, as for an id that nobody has.
    """

    display_name: str | None = None
    external_id: str | None = None
    set_external_id: bool = False
    add: frozenset[UUID] = frozenset()
    remove: frozenset[UUID] = frozenset()
    whole: bool = False
    unknown: tuple[str, ...] = ()


@dataclass(slots=True)
class _Members:
    """The sets while the operations are walked, in their order: the later word counts."""

    add: dict[UUID, None] = field(default_factory=dict)
    remove: dict[UUID, None] = field(default_factory=dict)
    whole: bool = False
    unknown: list[str] = field(default_factory=list)

    def added(self, ids: Iterable[UUID]) -> None:
        for member in ids:
            self.add[member] = None
            self.remove.pop(member, None)

    def removed(self, ids: Iterable[UUID]) -> None:
        for member in ids:
            self.add.pop(member, None)
            if not self.whole:
                self.remove[member] = None

    def replaced(self, ids: Iterable[UUID]) -> None:
        self.whole = True
        self.remove.clear()
        self.add = dict.fromkeys(ids)


def whole_change(body: object) -> GroupChange:
    """What a POST or PUT body wants. A PUT without members empties the group (RFC 7644 3.5.1).

    An externalId that the body does not carry is kept.
    """
    # Members are read apart from the schema's checks: thousands of them need two comparisons each.
    members = _Members()
    rest = body
    if isinstance(body, dict):
        rest = {key: value for key, value in body.items() if key.lower() != "members"}
        for key, value in body.items():
            if key.lower() == "members" and value is not None:
                if not isinstance(value, list):
                    raise InvalidValueException(detail="members: this is not a list.")
                members.added(_ids(value, members))
    document = canonical(GROUP, rest)
    return GroupChange(
        display_name=document["displayName"],
        external_id=document.get("externalId"),
        set_external_id="externalId" in document,
        add=frozenset(members.add),
        whole=True,
        unknown=tuple(members.unknown),
    )


def change_of(operations: list[Operation]) -> GroupChange:
    """What the operations of a PATCH want, together."""
    change = GroupChange()
    members = _Members()
    for operation in operations:
        for target, value in steps(GROUP, operation):
            if target.attribute is None:
                continue
            if target.attribute.name == "members":
                _walk(members, operation, target, value)
            elif target.attribute.name != "schemas":
                change = _named(change, target.attribute, operation, value)
    return replace(
        change,
        add=frozenset(members.add),
        remove=frozenset(members.remove),
        whole=members.whole,
        unknown=tuple(members.unknown),
    )


def _named(change: GroupChange, attribute: Attribute, operation: Operation, value: Any) -> GroupChange:
    fresh = None if operation.op == "remove" else accepted(attribute, value, attribute.name)
    if attribute.name == "externalId":
        return replace(change, external_id=fresh, set_external_id=True)
    if fresh is None:
        raise InvalidValueException(detail=f"{attribute.name}: this attribute is required.")
    return replace(change, display_name=fresh)


def _walk(members: _Members, operation: Operation, target: Target, value: Any) -> None:
    if target.sub is not None and target.selection is None:
        raise MutabilityException(detail="members: name a member as a whole; its parts cannot be changed.")
    if target.selection is not None:
        _walk_selected(members, operation, target, target.selection, value)
    elif operation.op == "add":
        members.added(_ids(as_list(value), members))
    elif operation.op == "replace":
        members.replaced(_ids(as_list(value), members))
    elif value is None:
        members.replaced(())
    else:
        # Somebody whom this server cannot know is no member either: nothing to remove, and no error.
        members.removed(_ids(as_list(value), _Members()))


def _walk_selected(
    members: _Members, operation: Operation, target: Target, condition: FilterNode, value: Any
) -> None:
    selected = _Selected().visit(condition)
    if selected is None:
        if operation.op == "remove" and target.sub is None:
            members.replaced(())
            return
        raise InvalidFilterException(detail="members: the filter must name members by value.")
    if target.sub is not None:
        if target.sub.name == "value":
            raise MutabilityException(detail="members.value: add another member instead.")
        # What a member is shown as is the member's own business.
        return
    ids = _ids([{"value": text} for text in selected], members if operation.op != "remove" else _Members())
    if operation.op == "remove":
        members.removed(ids)
        return
    named = _ids(as_list(value), members) if isinstance(value, list | dict) else []
    if operation.op == "replace" and named:
        members.removed(ids)
        members.added(named)
    else:
        members.added([*ids, *named])


def _ids(values: Iterable[Any], members: _Members) -> list[UUID]:
    """Member ids; what cannot be one goes to `members.unknown`. Nested groups are refused (RFC 7643 4.2)."""
    ids = []
    for index, raw in enumerate(values):
        member = _member(raw, index)
        if member is None:
            continue
        if (found := identifier(member)) is None:
            members.unknown.append(member)
        else:
            ids.append(found)
    return ids


def _member(raw: Any, index: int) -> str | None:
    """The id that one element names; None for an element that says nothing."""
    if raw is None or isinstance(raw, str):
        return raw or None
    if not isinstance(raw, dict):
        raise InvalidValueException(detail=f"members[{index}]: this is not an object.")
    known = _known(raw)
    kind, reference, member = known.get("type"), known.get("$ref"), known.get("value")
    if (isinstance(kind, str) and kind.lower() == "group") or (
        isinstance(reference, str) and "/groups/" in reference.lower()
    ):
        raise InvalidValueException(detail=f"members[{index}]: a group cannot be a member; only users can.")
    if member is None or member == "":
        raise InvalidValueException(detail=f"members[{index}].value: this attribute is required.")
    if not isinstance(member, str):
        raise InvalidValueException(detail=f"members[{index}].value: this is not a string.")
    return member


def _known(raw: Mapping[Any, Any]) -> JSON:
    return {key.lower(): value for key, value in raw.items()}


class _Selected(FilterVisitor["frozenset[str] | None"]):
    """The member ids that a filter names, in lower case; None means every member."""

    def visit_comparison(self, node: Comparison) -> frozenset[str] | None:
        sub = sub_attribute(_MEMBERS, node.attr_path)
        if node.op is not CompareOperator.eq:
            raise InvalidFilterException(detail=f"members.{sub.name}: it is compared by eq only.")
        value = str(operand(sub, node.value)).lower()
        if sub.name == "value":
            return frozenset({value})
        if sub.name == "type":
            return None if value == "user" else frozenset()
        raise InvalidFilterException(detail=f"members.{sub.name}: members are filtered by value.")

    def visit_logical_expr(self, node: LogicalExpr) -> frozenset[str] | None:
        terms = [self.visit(term) for term in node.terms]
        named = [term for term in terms if term is not None]
        if node.op is LogicalOperator.and_:
            return frozenset.intersection(*named) if named else None
        return None if len(named) < len(terms) else frozenset().union(*named)

    def visit_present(self, node: Present) -> frozenset[str] | None:
        sub_attribute(_MEMBERS, node.attr_path)
        raise InvalidFilterException(detail="members: the filter must name members by value.")

    def visit_not(self, node: Not) -> frozenset[str] | None:
        raise InvalidFilterException(detail="members: the filter must name members by value.")

    def visit_value_path(self, node: ValuePath) -> frozenset[str] | None:
        raise InvalidFilterException(detail="A value filter cannot hold another one.")
