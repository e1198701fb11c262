"""What a PATCH or a body wants of a group, as sets of member ids. Knows no request, no database, no member.

No member is ever loaded to change a group: an operation becomes "add these", "remove those" or "exactly these", so
a PATCH costs what it changes (RFC 7644 3.5.2; Entra, Okta and authentik each send another form). Attributes of
extensions are few: what they become is computed from what the group has.
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

from scim.documents import accepted, canonical, replacing
from scim.identifiers import identifier
from scim.patch import Operation, Step, applied, as_list, steps_of
from scim.schemas import GROUP, JSON, Attribute, ResourceKind
from scim.selection import operand, sub_attribute

_MEMBERS = GROUP.attributes["members"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupChange:
    """What one request wants. None and False leave things as they are.

    `unknown` are values that cannot be an id of this server; whether they refuse the request is the
    connection's option, as for an id that nobody has. `resource` holds the attributes of extensions, by URN;
    while `pending` they are not final: `settled` needs what the group has now.
    """

    display_name: str | None = None
    external_id: str | None = None
    set_external_id: bool = False
    add: frozenset[UUID] = frozenset()
    remove: frozenset[UUID] = frozenset()
    whole: bool = False
    unknown: tuple[str, ...] = ()
    resource: JSON | None = None
    further: tuple[Step, ...] = ()
    """What a PATCH does with attributes of extensions."""

    def pending(self, kind: ResourceKind) -> bool:
        """Whether the group's present attributes must be read first."""
        return bool(self.further) or (self.resource is not None and bool(kind.immutable))

    def settled(self, kind: ResourceKind, held: JSON) -> "GroupChange":
        """The change for a group whose extensions hold `held`. Mutability or InvalidValue where it cannot be."""
        if self.further:
            # What every group has is not checked here again.
            beside = {"displayName": "-"}
            after = applied(kind, held | beside, self.further)
            resource = {key: value for key, value in after.items() if key not in beside}
            return replace(self, resource=resource, further=())
        if self.resource is not None:
            return replace(self, resource=replacing(kind, held, self.resource))
        return self


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


def whole_change(body: object, kind: ResourceKind = GROUP) -> GroupChange:
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
    document = canonical(kind, rest)
    return GroupChange(
        display_name=document["displayName"],
        external_id=document.get("externalId"),
        set_external_id="externalId" in document,
        add=frozenset(members.add),
        whole=True,
        unknown=tuple(members.unknown),
        resource={key: document[key] for key in document if ":" in key} if kind.extensions else None,
    )


def change_of(operations: Iterable[Operation], kind: ResourceKind = GROUP) -> GroupChange:
    """What the operations of a PATCH want, together."""
    change = GroupChange()
    members = _Members()
    further: list[Step] = []
    for step in steps_of(kind, operations):
        attribute = step.target.attribute
        if attribute is None or step.target.urn is not None:
            further.append(step)
        elif attribute.name == "members":
            _walk(members, step)
        else:
            change = _named(change, attribute, step)
    return replace(
        change,
        further=tuple(further),
        add=frozenset(members.add),
        remove=frozenset(members.remove),
        whole=members.whole,
        unknown=tuple(members.unknown),
    )


def _named(change: GroupChange, attribute: Attribute, step: Step) -> GroupChange:
    fresh = None if step.op == "remove" else accepted(attribute, step.value, attribute.name)
    if attribute.name == "externalId":
        return replace(change, external_id=fresh, set_external_id=True)
    if fresh is None:
        raise MutabilityException(detail=f"{attribute.name}: this attribute is required.")
    return replace(change, display_name=fresh)


def _walk(members: _Members, step: Step) -> None:
    target, value = step.target, step.value
    if target.sub is not None and target.selection is None:
        raise MutabilityException(detail="members: name a member as a whole; its parts cannot be changed.")
    if target.selection is not None:
        _walk_selected(members, step, target.selection)
    elif step.op == "add":
        members.added(_ids(as_list(value), members))
    elif step.op == "replace":
        members.replaced(_ids(as_list(value), members))
    elif value is None:
        members.replaced(())
    else:
        # Somebody whom this server cannot know is no member either: nothing to remove, and no error.
        members.removed(_ids(as_list(value), _Members()))


def _walk_selected(members: _Members, step: Step, condition: FilterNode) -> None:
    target, value = step.target, step.value
    selected = _Selected().visit(condition)
    if selected is None:
        if step.op == "remove" and target.sub is None:
            members.replaced(())
            return
        raise InvalidFilterException(detail="members: the filter must name members by value.")
    if target.sub is not None:
        if target.sub.name == "value":
            raise MutabilityException(detail="members.value: add another member instead.")
        # What a member is shown as is the member's own business.
        return
    ids = _ids([{"value": text} for text in selected], members if step.op != "remove" else _Members())
    if step.op == "remove":
        members.removed(ids)
        return
    named = _ids(as_list(value), members) if isinstance(value, list | dict) else []
    if step.op == "replace" and named:
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
