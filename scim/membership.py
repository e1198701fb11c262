"""What a PATCH or a body wants of a group, as sets of member ids. Knows no request and no database.

No member is loaded to change a group: an operation becomes "add these", "remove those" or "exactly these", so a
PATCH costs what it changes (RFC 7644 3.5.2; Entra, Okta and authentik each send another form). Only where a value
filter asks more of members than who they are is it computed from those that the group has, as what becomes of the
attributes of extensions is.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from scim2_models.exceptions import (
    InvalidValueException,
    MutabilityException,
    NoTargetException,
    TooManyException,
)
from scim2_models.path import CompareOperator, Comparison, FilterNode, LogicalExpr, LogicalOperator, Not

from scim.documents import accepted, canonical, replacing
from scim.identifiers import identifier
from scim.patch import Operation, Step, applied, as_list, is_nothing, steps_of
from scim.schemas import GROUP, JSON, Attribute, ResourceKind
from scim.selection import predicate

MOST_ASKED = 1_000_000
"""How many comparisons the value filters of one PATCH make with the members of a group: about a second of work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """Whom a group has, or is given: id -> userName. `base` is the SCIM root's URL without a slash at its end."""

    held: Mapping[str, str]
    given: Mapping[str, str]
    base: str

    def element(self, key: str) -> JSON:
        """The member as a client reads it that asks for every part."""
        name = self.held.get(key) or self.given.get(key)
        return {"type": "User", "value": key, "$ref": f"{self.base}/Users/{key}", "display": name}


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupChange:
    """What one request wants. None and False leave things as they are.

    `unknown` are values that cannot be an id of this server; whether they refuse the request is the
    connection's option, as for an id that nobody has. `resource` holds the attributes of extensions, by URN.
    While it is `pending` it is not final: `settled` needs what the group has now.
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
    choosing: tuple[Step, ...] = ()
    """What a PATCH does with members, where it must be asked who they are."""

    def pending(self, kind: ResourceKind) -> bool:
        """Whether what the group has must be read first."""
        return bool(self.further or self.choosing) or (self.resource is not None and bool(kind.immutable))

    def given(self) -> list[UUID]:
        """Whom `choosing` names as members: a filter behind it may choose among them."""
        naming = (step for step in self.choosing if step.op != "remove" and step.target.sub is None)
        return [member for step in naming for member in _ids(as_list(step.value), _Members())]

    def settled(self, kind: ResourceKind, held: JSON, people: People) -> "GroupChange":
        """The change for a group whose extensions hold `held`, and which has those `people` where it is `choosing`.

        Raises Mutability, InvalidValue or NoTarget where it cannot be, TooMany where the filters ask too much.
        """
        if self.choosing:
            members = _Members(people=people)
            for step in self.choosing:
                _walk(members, step)
            return replace(self, choosing=(), **members.sets()).settled(kind, held, people)
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
    people: People | None = None
    asked: int = 0

    def sets(self) -> dict[str, Any]:
        return {
            "add": frozenset(self.add),
            "remove": frozenset(self.remove),
            "whole": self.whole,
            "unknown": tuple(self.unknown),
        }

    def chosen(self, step: Step) -> list[UUID]:
        """The members, as they are by now, for whom the step's filter holds."""
        people, attribute, condition = self.people, step.target.attribute, step.target.selection
        assert people is not None  # `settled` has seen to it
        assert attribute is not None
        assert condition is not None
        # Attack: a thousand filters, each asked of a hundred thousand members.
        self.asked += (len(people.held) + len(self.add)) * _terms(condition)
        if self.asked > MOST_ASKED:
            raise TooManyException(
                detail="members: the filters ask too much of so many; name members by value."
            )
        gone = {str(member) for member in self.remove}
        present = [] if self.whole else [key for key in people.held if key not in gone]
        joined = (str(member) for member in self.add)
        present += [key for key in joined if key in people.given and (self.whole or key not in people.held)]
        holds = predicate(attribute, condition)
        return [UUID(key) for key in present if holds(people.element(key))]

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
    document = canonical(kind, _without_members(kind, body, members))
    return GroupChange(
        display_name=document["displayName"],
        external_id=document.get("externalId"),
        set_external_id="externalId" in document,
        add=frozenset(members.add),
        whole=True,
        unknown=tuple(members.unknown),
        resource={key: document[key] for key in document if ":" in key} if kind.extensions else None,
    )


def _without_members(kind: ResourceKind, body: object, members: _Members) -> object:
    """The body without the members, which go to `members`, wherever their name stands: alone, or with its URN."""
    if not isinstance(body, dict):
        return body
    urn = kind.urn.lower()
    rest: JSON = {}
    for key, value in body.items():
        match key.lower():
            case name if name in ("members", f"{urn}:members"):
                if value is not None:
                    if not isinstance(value, list):
                        raise InvalidValueException(detail="members: this is not a list.")
                    members.added(_ids(value, members))
            case name if name == urn:
                rest[key] = _without_members(kind, value, members)
            case _:
                rest[key] = value
    return rest


def change_of(operations: Iterable[Operation], kind: ResourceKind = GROUP) -> GroupChange:
    """What the operations of a PATCH want, together."""
    change = GroupChange()
    members = _Members()
    further: list[Step] = []
    on_members: list[Step] = []
    for step in steps_of(kind, operations):
        attribute = step.target.attribute
        if attribute is None or step.target.urn is not None:
            further.append(step)
        elif attribute.name == "members":
            on_members.append(step)
            if step.target.selection is not None and not _is_told(step.target.selection):
                # Refused before anything is looked up.
                predicate(attribute, step.target.selection)
        else:
            change = _with(change, attribute, step)
    change = replace(change, further=tuple(further))
    if any(_chooses(step) for step in on_members):
        return replace(change, choosing=tuple(on_members))
    for step in on_members:
        _walk(members, step)
    return replace(change, **members.sets())


def _with(change: GroupChange, attribute: Attribute, step: Step) -> GroupChange:
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
    if target.sub is not None:
        if target.sub.name == "value":
            raise MutabilityException(detail="members.value: add another member instead.")
        # What a member is shown as is the member's own business.
        return
    empties = step.op == "remove" or (step.op == "replace" and is_nothing(value))
    if _chooses(step):
        ids = members.chosen(step)
        if not ids and not empties:
            raise NoTargetException(detail="members: the filter matches nothing.")
    else:
        told = _told(condition)
        if told is None:
            members.replaced(())
            return
        ids = _ids([{"value": text} for text in told], _Members() if empties else members)
    if empties:
        members.removed(ids)
        return
    named = _ids(as_list(value), members) if isinstance(value, list | dict) else []
    if step.op == "replace" and named:
        members.removed(ids)
        members.added(named)
    else:
        members.added([*ids, *named])


def _chooses(step: Step) -> bool:
    """Whether it must be asked who the members are: their ids in a filter say it, and so does "all of them"."""
    condition = step.target.selection
    if condition is None or step.target.sub is not None:
        return False
    return not _is_told(condition) or (step.op != "remove" and _told(condition) is None)


def _is_told(node: FilterNode) -> bool:
    match node:
        case LogicalExpr():
            return all(_is_told(term) for term in node.terms)
        case Comparison(op=CompareOperator.eq):
            return isinstance(node.value, str) and str(node.attr_path).lower() in ("value", "type")
    return False


def _told(node: FilterNode) -> frozenset[str] | None:
    """The member ids that such a filter names, in lower case; None means every member."""
    match node:
        case LogicalExpr():
            terms = [_told(term) for term in node.terms]
            named = [term for term in terms if term is not None]
            if node.op is LogicalOperator.and_:
                return frozenset.intersection(*named) if named else None
            return None if len(named) < len(terms) else frozenset().union(*named)
        case Comparison(value=str(value)):
            if str(node.attr_path).lower() == "value":
                return frozenset({value.lower()})
            return None if value.lower() == "user" else frozenset()
    raise AssertionError(node)


def _terms(node: FilterNode) -> int:
    match node:
        case LogicalExpr():
            return sum(_terms(term) for term in node.terms)
        case Not():
            return _terms(node.expr)
    return 1


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
