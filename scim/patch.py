"""What a document becomes by the operations of a PATCH (RFC 7644 3.5.2). Knows no request and no database.

Atomic by construction: the given document is left alone, and an operation that cannot be raises before
anything is returned.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from scim2_models.exceptions import (
    InvalidPathException,
    InvalidSyntaxException,
    InvalidValueException,
    MutabilityException,
    NoTargetException,
    PayloadTooLargeException,
    TooManyException,
)
from scim2_models.path import AttrPath, CompareOperator, Comparison, FilterNode, Path, ValuePath

from scim.documents import (
    accepted,
    comparable,
    elements,
    identity,
    put,
    require,
    settled,
    single,
    steady,
    unchanging,
)
from scim.filter_limits import LITERAL, demand_flat, demand_short, parsing
from scim.schemas import JSON, Attribute, ResourceKind
from scim.selection import described, predicate

MAX_OPERATIONS = 1000
"""How many attributes one PATCH may touch: each operation with a path, and each key of one without."""

MAX_FILTERS = 64 * 1024
"""How many characters the paths with a value filter have together, but for the plainest ones: of one PATCH, and of
all of a Bulk."""

_LABELS = frozenset({"type", "primary", "display"})
_PATHS_KEPT = 2048
# What every client writes for one element; the grammar takes fifty times as long to say the same.
_ONE_ELEMENT = re.compile(
    r"((?:[A-Za-z][\w.:-]*:)?[A-Za-z][\w-]*)"
    r'\[([A-Za-z$][\w-]*) +eq +"([^"\\\x00-\x1f]*)"\](?:\.([A-Za-z$][\w-]*))?',
    re.ASCII | re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation: `op` in lower case, `path` None where it is absent, null or empty."""

    op: str
    path: str | None
    value: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a path means. Without `attribute` it is a whole extension, or (without `urn` too) the resource."""

    urn: str | None = None
    attribute: Attribute | None = None
    selection: FilterNode | None = None
    sub: Attribute | None = None

    @property
    def label(self) -> str:
        name = self.attribute.name if self.attribute else ""
        label = ":".join(part for part in (self.urn, name) if part)
        return f"{label}.{self.sub.name}" if self.sub else label

    @property
    def writable(self) -> bool:
        return all(part is None or part.writable for part in (self.attribute, self.sub))


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One attribute that an operation touches. `value` None: it says nothing, or null."""

    op: str
    target: Target
    value: Any
    begins: bool = True
    """Whether it may make the element that its filter describes: not, where nothing is said but labels of it."""


def operations_of(body: object) -> list[Operation]:
    """The operations of a PatchOp message. The message's "schemas" may be missing, as in OneLogin's.

    413 for more than MAX_OPERATIONS.
    """
    if not isinstance(body, dict):
        raise InvalidSyntaxException(detail="The body is not a JSON object.")
    raw = next((value for key, value in body.items() if key.lower() == "operations"), None)
    if not isinstance(raw, list) or not raw:
        raise InvalidSyntaxException(detail="Operations: this is not a list with at least one operation.")
    if len(raw) > MAX_OPERATIONS:
        raise _too_many()
    return [_operation(index, item) for index, item in enumerate(raw)]


def filters_in(body: object) -> int:
    """How many characters of MAX_FILTERS a PatchOp message takes at most: told without parsing any of them."""
    characters = 0
    waiting = [body]
    while waiting:
        match waiting.pop():
            case list() as items:
                waiting += items
            case dict() as items:
                for key, value in items.items():
                    characters += _weight(key)
                    if key.lower() == "path" and isinstance(value, str):
                        characters += _weight(value)
                    else:
                        waiting.append(value)
    return characters


def _weight(path: str) -> int:
    return len(path) if "[" in path and not _ONE_ELEMENT.fullmatch(path) else 0


def too_many_filters() -> TooManyException:
    return TooManyException(
        detail=f"The value filters have {MAX_FILTERS} characters at most; split the request."
    )


def _too_many() -> PayloadTooLargeException:
    return PayloadTooLargeException(detail=f"A PATCH may touch {MAX_OPERATIONS} attributes; split it.")


def _operation(index: int, raw: object) -> Operation:
    if not isinstance(raw, dict):
        raise InvalidSyntaxException(detail=f"Operations[{index}]: this is not an object.")
    known = {key.lower(): value for key, value in raw.items()}
    # RFC 7644 3.5.2 writes op names in lower case; Entra sends "Replace".
    op = known.get("op")
    if not isinstance(op, str) or op.lower() not in ("add", "replace", "remove"):
        raise InvalidSyntaxException(detail=f"Operations[{index}].op: this is not add, replace or remove.")
    path = known.get("path")
    if path is not None and not isinstance(path, str):
        raise InvalidPathException(detail=f"Operations[{index}].path: this is not a string.")
    # RFC 7644 3.5.2.1: "The operation MUST contain a "value" member". A forgotten or misspelt one must not empty
    # a group; a null that was written says that it is meant.
    if op.lower() != "remove" and "value" not in known:
        raise InvalidValueException(detail=f"Operations[{index}].value: {op.lower()} needs a value.")
    return Operation(op=op.lower(), path=(path.strip() or None) if path else None, value=known.get("value"))


def target_of(kind: ResourceKind, path: str) -> Target:
    """What the path means in this kind of resource; InvalidPath when it means nothing."""
    if "[" not in path:
        return _plain_target(kind, path)
    demand_short(path)
    if found := _ONE_ELEMENT.fullmatch(path):
        plain = _plain_target(kind, f"{found[1]}.{found[4]}" if found[4] else found[1])
        return _selecting(plain, Comparison(AttrPath(attr=found[2]), CompareOperator.eq, found[3]), path)
    demand_flat(LITERAL.sub('""', path))
    with parsing():
        node = Path(path).ast
    if not isinstance(node, ValuePath):
        raise InvalidPathException(detail=f"{path[:200]}: this is a filter, not a path.")
    bare = ":".join(part for part in (node.attr_path.uri, node.attr_path.attr) if part)
    plain = _plain_target(kind, f"{bare}.{node.sub_attr}" if node.sub_attr else bare)
    return _selecting(plain, node.val_filter, path)


def _selecting(plain: Target, selection: FilterNode, path: str) -> Target:
    if plain.attribute is None or not plain.attribute.multi_valued:
        raise InvalidPathException(detail=f"{path[:200]}: this has no values to select from.")
    return replace(plain, selection=selection)


# The same few paths come with every request. Paths that name a value are not kept: it may be a person's.
@lru_cache(maxsize=_PATHS_KEPT)
def _plain_target(kind: ResourceKind, path: str) -> Target:
    if path.lower() == kind.urn.lower():
        return Target()
    if (whole := kind.extension(path)) is not None:
        return Target(urn=whole.urn)
    node = Path(path).ast
    if not isinstance(node, AttrPath):
        raise InvalidPathException(detail=f"{path[:200]}: this is a filter, not a path.")
    attribute = kind.attribute(node.uri, node.attr)
    if attribute is None:
        raise InvalidPathException(detail=f"{path[:200]}: the {kind.name} schema has no such attribute.")
    extension = kind.extension(node.uri) if node.uri else None
    sub = attribute.sub(node.sub_attr) if node.sub_attr else None
    if node.sub_attr and sub is None:
        raise InvalidPathException(detail=f"{path[:200]}: {attribute.name} has no such sub-attribute.")
    return Target(urn=extension.urn if extension else None, attribute=attribute, sub=sub)


def steps_of(kind: ResourceKind, operations: Iterable[Operation]) -> list[Step]:
    """The operations as what they touch, one attribute each. 413 for more than MAX_OPERATIONS."""
    reading = _Reading(kind)
    for operation in operations:
        reading.read(operation)
    steps = reading.steps
    # One operation may set an element's type and a later one its value.
    told = {_chosen(step) for step in steps if step.target.selection and not _is_label(step)}
    return [
        replace(step, begins=_chosen(step) in told) if step.target.selection and _is_label(step) else step
        for step in steps
    ]


def _chosen(step: Step) -> tuple[Any, ...]:
    return step.target.urn, step.target.attribute, step.target.selection


def _is_label(step: Step) -> bool:
    sub = step.target.sub
    return step.op == "remove" or is_nothing(step.value) or sub is None or sub.name in _LABELS


class _Reading:
    """The steps of a PATCH while its operations are read: one with a path, one per key without."""

    def __init__(self, kind: ResourceKind) -> None:
        self.kind = kind
        self.steps: list[Step] = []
        self.characters = 0

    def read(self, operation: Operation) -> None:
        op, value = operation.op, operation.value
        if operation.path is not None:
            target = self.target(operation.path)
            if target.attribute is not None:
                if target.attribute.name != "schemas" and not target.attribute.writable:
                    raise _read_only(target)
                self.step(op, target, value)
                return
            if target.urn is not None:
                self.extension(op, target, value)
                return
        if op == "remove":
            # RFC 7644 3.5.2.2: "If "path" is unspecified, the operation fails with HTTP status code 400 and a
            # "scimType" error code of "noTarget"."
            raise NoTargetException(detail="remove needs a path.")
        if not isinstance(value, dict):
            raise InvalidValueException(detail="An operation without a path needs an object as its value.")
        self.keys(op, value)

    def keys(self, op: str, value: Mapping[str, Any]) -> None:
        """A dotted key is read by the schema ("name.givenName", and URNs that have a dot themselves).

        Keys that nobody can write ("id", "meta") and URNs that mean nothing here are passed over.
        """
        for key, inner in value.items():
            if key.lower() == self.kind.urn.lower():
                if not isinstance(inner, dict):
                    raise InvalidValueException(detail=f"{key}: this is not an object.")
                self.keys(op, inner)
                continue
            if ":" in key and not _known_urn(self.kind, key):
                continue
            target = self.target(key)
            if target.attribute is None:
                self.extension(op, target, inner)
            elif target.writable:
                self.step(op, target, inner)

    def extension(self, op: str, target: Target, value: Any) -> None:
        if op == "remove" or is_nothing(value):
            self.step("remove", target, None)
            return
        if not isinstance(value, dict):
            raise InvalidValueException(detail=f"{target.urn}: this is not an object.")
        for key, inner in value.items():
            if key.lower() != "schemas":
                found = self.target(f"{target.urn}:{key}")
                if found.writable:
                    self.step(op, found, inner)

    def target(self, path: str) -> Target:
        self.characters += _weight(path)
        if self.characters > MAX_FILTERS:
            raise too_many_filters()
        return target_of(self.kind, path)

    def step(self, op: str, target: Target, value: Any) -> None:
        # "schemas" follows from what a resource holds, and is accepted everywhere.
        if target.attribute is not None and target.attribute.name == "schemas":
            return
        if len(self.steps) >= MAX_OPERATIONS:
            raise _too_many()
        self.steps.append(Step(op=op, target=target, value=value))


def _read_only(target: Target) -> MutabilityException:
    return MutabilityException(detail=f"{target.label}: this attribute is read-only.")


def _known_urn(kind: ResourceKind, key: str) -> bool:
    # The bracket of a value filter may hold a colon of its own.
    head = key.partition("[")[0].lower()
    return ":" not in head or any(head.startswith(urn) for urn in (kind.urn.lower(), *kind.extensions))


def patched(kind: ResourceKind, document: JSON, operations: Iterable[Operation]) -> JSON:
    """The document after all operations, in their order; `document` itself does not change.

    Raises, with the attribute's path: InvalidPath, InvalidFilter, NoTarget, InvalidValue, Mutability.
    """
    return applied(kind, document, steps_of(kind, operations))


def applied(kind: ResourceKind, document: JSON, steps: Iterable[Step]) -> JSON:
    """As `patched`, of operations that were read before: the document may have changed since."""
    # Values are replaced and never changed, so that the holders of attributes are all that is copied.
    result = {key: dict(value) if ":" in key else value for key, value in document.items()}
    for step in steps:
        _apply(result, step)
    require(kind, result, document)
    unchanging(kind, document, result)
    return steady(document, result)


def _apply(document: JSON, step: Step) -> None:
    target, attribute = step.target, step.target.attribute
    if attribute is None:
        document.pop(target.urn or "", None)
        return
    if target.sub is not None and not target.sub.writable:
        raise _read_only(target)
    holder: JSON = document
    if target.urn is not None:
        holder = document.setdefault(target.urn, {})
    if attribute.mutability == "writeOnly":
        _check_only(attribute, step)
    elif attribute.multi_valued and attribute.type == "complex":
        _apply_to_elements(holder, attribute, step)
    elif attribute.multi_valued:
        _apply_to_values(holder, attribute, step)
    elif attribute.type == "complex":
        _apply_to_complex(holder, attribute, step)
    else:
        fresh = None if step.op == "remove" else accepted(attribute, _unwrapped(step.value), target.label)
        put(holder, attribute, fresh)
    if target.urn is not None and not holder:
        del document[target.urn]


def _check_only(attribute: Attribute, step: Step) -> None:
    """A write-only attribute is not kept, so that nothing is there to be removed or selected."""
    if step.op != "remove" and step.target.sub is None and step.target.selection is None:
        accepted(attribute, as_list(step.value) if attribute.multi_valued else step.value, step.target.label)


def is_nothing(value: Any) -> bool:
    """RFC 7643 2.5: what says that an attribute is unassigned. Some clients empty one by sending no text."""
    return value is None or value in ("", [])


def _unwrapped(value: Any) -> Any:
    """Entra's older form of a simple value: [{"value": "False"}]."""
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict) and "value" in value[0]:
        return value[0]["value"]
    return value


def _apply_to_complex(holder: JSON, attribute: Attribute, step: Step) -> None:
    held = dict(holder.get(attribute.name, {}))
    sub, label = step.target.sub, step.target.label
    if sub is not None:
        fresh = None if step.op == "remove" else accepted(sub, step.value, label)
        if fresh is None and sub.name in held:
            _demand_optional(sub, label)
        put(held, sub, fresh)
    elif step.op == "remove" or is_nothing(step.value):
        held = {}
    else:
        # RFC 7644 3.5.2.3: of a complex attribute, the sub-attributes that the value names are replaced.
        held |= single(attribute, step.value, label) or {}
        for gone in _nulled(attribute, step.value):
            if gone.name in held:
                _demand_optional(gone, f"{label}.{gone.name}")
            held.pop(gone.name, None)
    put(holder, attribute, held or None)


def _nulled(attribute: Attribute, value: Any) -> list[Attribute]:
    """Sub-attributes that the value unassigns by naming them with null or nothing."""
    if not isinstance(value, dict):
        return []
    subs = ((attribute.sub(key), inner) for key, inner in value.items())
    return [sub for sub, inner in subs if sub is not None and sub.writable and is_nothing(inner)]


def _demand_optional(sub: Attribute, label: str) -> None:
    """RFC 7644 3.5.2.2: to unassign what is required is refused as `mutability`."""
    if sub.required:
        raise MutabilityException(detail=f"{label}: this attribute is required.")


def _apply_to_values(holder: JSON, attribute: Attribute, step: Step) -> None:
    held: list[Any] = list(holder.get(attribute.name, ()))
    op, label = step.op, step.target.label
    if step.target.selection is not None:
        held = _selected_values(held, attribute, step, step.target.selection)
    elif op == "remove" and step.value is None:
        held = []
    else:
        given = elements(attribute, as_list(step.value), label)
        if op == "add":
            held = settled(attribute, [*held, *given])
        elif op == "replace":
            held = given
        else:
            gone = {comparable(attribute, value) for value in given}
            held = [value for value in held if comparable(attribute, value) not in gone]
    put(holder, attribute, held or None)


def _selected_values(held: list[Any], attribute: Attribute, step: Step, condition: FilterNode) -> list[Any]:
    """`numbers[value gt 3]`: RFC 7643 2.4 calls the value of a simple element "value"."""
    element = Attribute(name=attribute.name, subs={"value": replace(attribute, name="value")})
    holds = predicate(element, condition)
    chosen = [holds({"value": value}) for value in held]
    if step.op == "remove" or is_nothing(step.value):
        return [value for value, found in zip(held, chosen, strict=True) if not found]
    if not any(chosen):
        raise NoTargetException(detail=f"{step.target.label}: the filter matches nothing.")
    fresh = single(attribute, _unwrapped(step.value), step.target.label)
    changed = [fresh if found else value for value, found in zip(held, chosen, strict=True)]
    return settled(attribute, [value for value in changed if value is not None])


def _apply_to_elements(holder: JSON, attribute: Attribute, step: Step) -> None:
    held: list[JSON] = list(holder.get(attribute.name, ()))
    label = step.target.label
    if step.target.selection is not None:
        held = _selected(held, attribute, step, step.target.selection)
    elif step.target.sub is not None:
        held = _in_each(held, attribute, step, step.target.sub)
    elif step.op == "remove":
        held = _without(held, attribute, step)
    else:
        given = elements(attribute, as_list(step.value), label)
        if step.op == "replace":
            held = given
        else:
            before, held = held, settled(attribute, [*held, *given], given)
            _demand_merged(attribute, before, held, label)
    put(holder, attribute, held or None)


def as_list(value: Any) -> list[Any]:
    """The elements that a value names: clients send one element without its brackets."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _without(held: list[JSON], attribute: Attribute, step: Step) -> list[JSON]:
    """`remove` of a multi-valued attribute: all of it, or those that a value lists (as Entra sends it)."""
    if step.value is None:
        return []
    rest = held
    listed: dict[tuple[str, ...], list[JSON]] = {}
    for wanted in elements(attribute, as_list(step.value), step.target.label):
        keys = tuple(key for key in ("value", "type") if key in wanted) or tuple(sorted(wanted))
        listed.setdefault(keys, []).append(wanted)
    for keys, group in listed.items():
        subs = [attribute.subs[key.lower()] for key in keys]
        gone = {tuple([comparable(sub, item.get(sub.name)) for sub in subs]) for item in group}
        rest = [
            item for item in rest if tuple([comparable(sub, item.get(sub.name)) for sub in subs]) not in gone
        ]
    return rest


def _selected(held: list[JSON], attribute: Attribute, step: Step, condition: FilterNode) -> list[JSON]:
    target, sub = step.target, step.target.sub
    # The filter is checked even where there is nothing to match it against.
    holds = predicate(attribute, condition)
    chosen = [item for item in held if holds(item)]
    if step.op == "remove" or is_nothing(step.value):
        return _removed(held, chosen, attribute, target)
    written = _written(attribute, target, step.value)
    if not chosen:
        seed = described(attribute, condition)
        if seed is None:
            # RFC 7644 3.12, noTarget: "did not yield an attribute or attribute value that could be
            # operated on".
            raise NoTargetException(detail=f"{target.label}: the filter matches nothing.")
        # Entra expects the element that the filter describes to be made.
        fresh = (single(attribute, seed, target.label) or {}) | written
        if _is_shell(attribute, fresh, begins=step.begins and bool(written)):
            # Clients unset the primary of nothing so; it is no value.
            return held
        return settled(attribute, [*held, fresh], [fresh])
    if not written and (sub is not None or step.op == "add"):
        return held
    if sub is not None or step.op == "add":
        changed = {id(item): item | written for item in chosen}
    else:
        # RFC 7644 3.5.2.3: "all matching record values SHALL be replaced"; what they were chosen by stays true, and
        # what is immutable stays, as it does in a PUT that leaves it out.
        stays = {*(described(attribute, condition) or {}), *_immutable_parts(attribute)}
        changed = {
            id(item): {name: item[name] for name in item if name in stays} | written for item in chosen
        }
    for item in chosen if attribute.own else ():
        _demand_same(attribute, item, changed[id(item)], target.label)
    # Whoever replaces a value by labels of it has taken the value away, as with `remove`.
    gone = {
        id(item)
        for item in chosen
        if not changed[id(item)]
        or (
            not item.keys() <= _LABELS
            and _is_shell(attribute, changed[id(item)], begins=step.begins and bool(written))
        )
    }
    rest = [changed.get(id(item), item) for item in held if id(item) not in gone]
    return rest if _stay_apart(written, rest) else settled(attribute, rest, list(changed.values()))


def _is_shell(attribute: Attribute, element: JSON, *, begins: bool) -> bool:
    """Whether an element says nothing, or nothing but labels of a value that it does not have.

    `begins`: another operation of the same PATCH gives it the value.
    """
    if not element:
        return True
    return not begins and element.keys() <= _LABELS and not attribute.subs.keys() <= _LABELS


def _stay_apart(written: JSON, elements_: list[JSON]) -> bool:
    """Whether what was written made no two elements one, and no two primary."""
    return written.keys().isdisjoint(("value", "type", "primary")) and all(
        "value" in one for one in elements_
    )


def _written(attribute: Attribute, target: Target, value: Any) -> JSON:
    """The sub-attributes that a value sets on an element."""
    if target.sub is not None:
        fresh = accepted(target.sub, _unwrapped(value), target.label)
        return {} if fresh is None else {target.sub.name: fresh}
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    written = single(attribute, value, target.label)
    return dict(written) if written else {}


def _removed(held: list[JSON], chosen: list[JSON], attribute: Attribute, target: Target) -> list[JSON]:
    gone = {id(item) for item in chosen}
    sub = target.sub
    if sub is None:
        return [item for item in held if id(item) not in gone]
    rest = []
    for item in held:
        if id(item) in gone and sub.name in item:
            _demand_optional(sub, target.label)
            if sub.own and sub.mutability == "immutable":
                raise _immutable(target.label)
            item = {key: inner for key, inner in item.items() if key != sub.name}
            # What is left says only which value it was; without the value it says nothing.
            if not item or (sub.name not in _LABELS and item.keys() <= _LABELS):
                continue
        rest.append(item)
    # Without their types, two values may be one.
    return settled(attribute, rest) if sub.name in ("type", "value") else rest


def _in_each(held: list[JSON], attribute: Attribute, step: Step, sub: Attribute) -> list[JSON]:
    """A sub-attribute without a filter ("emails.value") means that of every element."""
    if step.op == "remove" or is_nothing(step.value):
        return _removed(held, held, attribute, step.target)
    written = _written(attribute, step.target, step.value)
    if not written:
        return held
    for item in held if attribute.own else ():
        _demand_same(attribute, item, item | written, step.target.label)
    changed = [item | written for item in held] or [written]
    return changed if _stay_apart(written, changed) else settled(attribute, changed, changed[-1:])


def _demand_merged(attribute: Attribute, before: list[JSON], after: list[JSON], label: str) -> None:
    """Adding an element that is there already changes it: its immutable parts stay."""
    if attribute.own:
        known = {identity(attribute, item): item for item in before}
        for item in after:
            if (old := known.get(identity(attribute, item))) is not None:
                _demand_same(attribute, old, item, label)


def _demand_same(attribute: Attribute, before: JSON, after: JSON, label: str) -> None:
    for name in _immutable_parts(attribute):
        if name in before and before[name] != after.get(name):
            raise _immutable(f"{label.removesuffix('.' + name)}.{name}")


def _immutable_parts(attribute: Attribute) -> list[str]:
    return [sub.name for sub in attribute.subs.values() if sub.own and sub.mutability == "immutable"]


def _immutable(label: str) -> MutabilityException:
    return MutabilityException(detail=f"{label}: this attribute is immutable, and it has a value.")
