"""What a document becomes by the operations of a PATCH (RFC 7644 3.5.2). Knows no request and no database.

Atomic by construction: the given document is left alone, and an operation that cannot be raises before
anything is returned.
"""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from scim2_models.exceptions import (
    InvalidPathException,
    InvalidSyntaxException,
    InvalidValueException,
    MutabilityException,
    NoTargetException,
)
from scim2_models.path import AttrPath, FilterNode, Path, ValuePath

from scim.documents import accepted, elements, put, require, settled, single
from scim.schemas import JSON, Attribute, ResourceKind
from scim.selection import described, matches


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation: `op` in lower case, `path` None where it is absent, null or empty."""

    op: str
    path: str | None
    value: Any
    carries_value: bool
    """Whether a value was sent that is not null: `remove` with an empty list removes nothing."""


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


def operations_of(body: object) -> list[Operation]:
    """The operations of a PatchOp message. The message's "schemas" may be missing, as in OneLogin's."""
    if not isinstance(body, dict):
        raise InvalidSyntaxException(detail="The body is not a JSON object.")
    raw = next((value for key, value in body.items() if key.lower() == "operations"), None)
    if not isinstance(raw, list) or not raw:
        raise InvalidSyntaxException(detail="Operations: this is not a list with at least one operation.")
    return [_operation(index, item) for index, item in enumerate(raw)]


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
    value = known.get("value")
    return Operation(
        op=op.lower(),
        path=(path.strip() or None) if path else None,
        value=value,
        carries_value=value is not None,
    )


def target_of(kind: ResourceKind, path: str) -> Target:
    """What the path means in this kind of resource; InvalidPath when it means nothing."""
    if path.lower() == kind.urn.lower():
        return Target()
    if (whole := kind.extension(path)) is not None:
        return Target(urn=whole.urn)
    node = Path(path).ast
    if not isinstance(node, AttrPath | ValuePath):
        raise InvalidPathException(detail=f"{path[:200]}: this is a filter, not a path.")
    attr_path = node if isinstance(node, AttrPath) else node.attr_path
    attribute = kind.attribute(attr_path.uri, attr_path.attr)
    if attribute is None:
        raise InvalidPathException(detail=f"{path[:200]}: the {kind.name} schema has no such attribute.")
    extension = kind.extension(attr_path.uri) if attr_path.uri else None
    sub_name = node.sub_attr
    sub = attribute.sub(sub_name) if sub_name else None
    if sub_name and sub is None:
        raise InvalidPathException(detail=f"{path[:200]}: {attribute.name} has no such sub-attribute.")
    selection = node.val_filter if isinstance(node, ValuePath) else None
    if selection is not None and not (attribute.multi_valued and attribute.type == "complex"):
        raise InvalidPathException(detail=f"{path[:200]}: {attribute.name} has no values to select from.")
    return Target(urn=extension.urn if extension else None, attribute=attribute, selection=selection, sub=sub)


def steps(kind: ResourceKind, operation: Operation) -> Iterator[tuple[Target, Any]]:
    """An operation as (target, value) pairs: one with a path, one per key without.

    A dotted key is read by the schema ("name.givenName", and URNs that have a dot themselves); keys that
    nobody can write ("schemas", "id", "meta") and URNs that mean nothing here are passed over.
    """
    if operation.path is not None:
        target = target_of(kind, operation.path)
        if target.attribute or target.urn:
            _require_writable(target)
            yield target, operation.value
            return
    if operation.op == "remove":
        # RFC 7644 3.5.2.2: "If "path" is unspecified, the operation fails with HTTP status code 400 and a
        # "scimType" error code of "noTarget"."
        raise NoTargetException(detail="remove needs a path.")
    if not isinstance(operation.value, dict):
        raise InvalidValueException(detail="An operation without a path needs an object as its value.")
    yield from _keys(kind, operation.value)


def _keys(kind: ResourceKind, value: Mapping[str, Any]) -> Iterator[tuple[Target, Any]]:
    for key, inner in value.items():
        if key.lower() == kind.urn.lower():
            if not isinstance(inner, dict):
                raise InvalidValueException(detail=f"{key}: this is not an object.")
            yield from _keys(kind, inner)
            continue
        if ":" in key and not _known_urn(kind, key):
            continue
        target = target_of(kind, key)
        if target.attribute is None or target.attribute.writable:
            yield target, inner


def _known_urn(kind: ResourceKind, key: str) -> bool:
    # The bracket of a value filter may hold a colon of its own.
    head = key.partition("[")[0].lower()
    return ":" not in head or any(head.startswith(urn) for urn in (kind.urn.lower(), *kind.extensions))


def _require_writable(target: Target) -> None:
    attribute = target.attribute
    if attribute is None or attribute.name == "schemas":
        return
    if not attribute.writable:
        raise MutabilityException(detail=f"{target.label}: this attribute is read-only.")


def patched(kind: ResourceKind, document: JSON, operations: list[Operation]) -> JSON:
    """The document after all operations, in their order; `document` itself does not change."""
    result = copy.deepcopy(document)
    for operation in operations:
        for target, value in steps(kind, operation):
            _apply(kind, result, operation, target, value)
    require(kind, result)
    return result


def _apply(kind: ResourceKind, document: JSON, operation: Operation, target: Target, value: Any) -> None:
    attribute = target.attribute
    if attribute is None:
        _apply_to_extension(kind, document, operation.op, target, value)
        return
    if attribute.name == "schemas":
        return
    holder: JSON = document
    if target.urn is not None:
        holder = document.setdefault(target.urn, {})
    if attribute.multi_valued and attribute.type == "complex":
        _apply_to_elements(holder, attribute, operation, target, value)
    elif attribute.multi_valued:
        _apply_to_values(holder, attribute, operation, target, value)
    elif attribute.type == "complex":
        _apply_to_complex(holder, attribute, operation.op, target, value)
    else:
        fresh = None if operation.op == "remove" else accepted(attribute, _unwrapped(value), target.label)
        put(holder, attribute, fresh)
    if target.urn is not None and not holder:
        del document[target.urn]


def _is_nothing(value: Any) -> bool:
    """RFC 7643 2.5: what says that an attribute is unassigned. Some clients empty one by sending no text."""
    return value is None or value in ("", [])


def _unwrapped(value: Any) -> Any:
    """Entra's older form of a simple value: [{"value": "False"}]."""
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict) and "value" in value[0]:
        return value[0]["value"]
    return value


def _apply_to_extension(kind: ResourceKind, document: JSON, op: str, target: Target, value: Any) -> None:
    urn = target.urn or ""
    if op == "remove" or _is_nothing(value):
        document.pop(urn, None)
        return
    if not isinstance(value, dict):
        raise InvalidValueException(detail=f"{urn}: this is not an object.")
    for key, inner in value.items():
        if key.lower() == "schemas":
            continue
        _apply(
            kind,
            document,
            Operation(op=op, path=key, value=inner, carries_value=inner is not None),
            target_of(kind, f"{urn}:{key}"),
            inner,
        )


def _apply_to_complex(holder: JSON, attribute: Attribute, op: str, target: Target, value: Any) -> None:
    held = dict(holder.get(attribute.name, {}))
    if target.sub is not None:
        _require_sub_writable(target)
        put(held, target.sub, None if op == "remove" else accepted(target.sub, value, target.label))
    elif op == "remove" or _is_nothing(value):
        held = {}
    else:
        # RFC 7644 3.5.2.3: of a complex attribute, the sub-attributes that the value names are replaced.
        fresh = single(attribute, value, target.label) or {}
        held |= fresh
        for key in _nulled(attribute, value):
            held.pop(key, None)
    put(holder, attribute, held or None)


def _nulled(attribute: Attribute, value: Any) -> list[str]:
    """Sub-attributes that the value unassigns by naming them with null or nothing."""
    if not isinstance(value, dict):
        return []
    subs = ((attribute.sub(key), inner) for key, inner in value.items())
    return [sub.name for sub, inner in subs if sub is not None and _is_nothing(inner)]


def _require_sub_writable(target: Target) -> None:
    if target.sub is not None and not target.sub.writable:
        raise MutabilityException(detail=f"{target.label}: this attribute is read-only.")


def _apply_to_values(
    holder: JSON, attribute: Attribute, operation: Operation, target: Target, value: Any
) -> None:
    held: list[Any] = list(holder.get(attribute.name, ()))
    given = elements(attribute, value if isinstance(value, list) else [value], target.label)
    if operation.op == "add":
        held = settled(attribute, [*held, *given])
    elif operation.op == "replace":
        held = given
    else:
        held = [item for item in held if item not in given] if operation.carries_value else []
    put(holder, attribute, held or None)


def _apply_to_elements(
    holder: JSON, attribute: Attribute, operation: Operation, target: Target, value: Any
) -> None:
    held: list[JSON] = list(holder.get(attribute.name, ()))
    if target.selection is not None:
        held = _selected(held, attribute, operation, target, value)
    elif target.sub is not None:
        held = _in_each(held, attribute, operation, target, value)
    elif operation.op == "remove":
        held = _without(held, attribute, operation, target)
    else:
        given = elements(attribute, as_list(value), target.label)
        held = given if operation.op == "replace" else settled(attribute, [*held, *given], given)
    put(holder, attribute, held or None)


def as_list(value: Any) -> list[Any]:
    """The elements that a value names: clients send one element without its brackets."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _without(held: list[JSON], attribute: Attribute, operation: Operation, target: Target) -> list[JSON]:
    """`remove` of a multi-valued attribute: all of it, or those that a value lists (as Entra sends it)."""
    if not operation.carries_value:
        return []
    listed = [
        wanted
        for index, item in enumerate(as_list(operation.value))
        if (wanted := single(attribute, item, f"{target.label}[{index}]"))
    ]
    return [item for item in held if not any(_covers(attribute, wanted, item) for wanted in listed)]


def _covers(attribute: Attribute, wanted: JSON, item: JSON) -> bool:
    keys: list[str] = [key for key in ("value", "type") if key in wanted] or list(wanted)
    return all(_same_text(attribute.sub(key), wanted[key], item.get(key)) for key in keys)


def _same_text(sub: Attribute | None, one: Any, other: Any) -> bool:
    if isinstance(one, str) and isinstance(other, str) and not (sub and sub.case_exact):
        return one.lower() == other.lower()
    return bool(one == other)


def _selected(
    held: list[JSON], attribute: Attribute, operation: Operation, target: Target, value: Any
) -> list[JSON]:
    condition = target.selection
    assert condition is not None
    chosen = [item for item in held if matches(attribute, condition, item)]
    # The filter is checked even where there is nothing to match it against.
    matches(attribute, condition, {})
    if operation.op == "remove" or _is_nothing(value):
        return _removed(held, chosen, target)
    if not chosen:
        seed = described(attribute, condition)
        if seed is None:
            # RFC 7644 3.12, noTarget: "did not yield an attribute or attribute value that could be
            # operated on".
            raise NoTargetException(detail=f"{target.label}: the filter matches nothing.")
        # Entra expects the element that the filter describes to be made.
        fresh = seed | _written(attribute, target, value)
        return settled(attribute, [*held, fresh], [fresh])
    written = _written(attribute, target, value)
    if target.sub is not None or operation.op == "add":
        changed = {id(item): item | written for item in chosen}
    else:
        # RFC 7644 3.5.2.3: "all matching record values SHALL be replaced"; the filter's own terms stay true.
        changed = {id(item): (described(attribute, condition) or {}) | written for item in chosen}
    return settled(attribute, [changed.get(id(item), item) for item in held], list(changed.values()))


def _written(attribute: Attribute, target: Target, value: Any) -> JSON:
    """The sub-attributes that a value sets on an element."""
    if target.sub is not None:
        _require_sub_writable(target)
        fresh = accepted(target.sub, _unwrapped(value), target.label)
        return {} if fresh is None else {target.sub.name: fresh}
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    written = single(attribute, value, target.label)
    return dict(written) if written else {}


def _removed(held: list[JSON], chosen: list[JSON], target: Target) -> list[JSON]:
    gone = {id(item) for item in chosen}
    if target.sub is None:
        return [item for item in held if id(item) not in gone]
    rest = []
    for item in held:
        if id(item) in gone:
            item = {key: inner for key, inner in item.items() if key != target.sub.name}
            # What is left says only which value it was; without the value it says nothing.
            if item.keys() <= {"type", "primary", "display"}:
                continue
        rest.append(item)
    return rest


def _in_each(
    held: list[JSON], attribute: Attribute, operation: Operation, target: Target, value: Any
) -> list[JSON]:
    """A sub-attribute without a filter ("emails.value") means that of every element."""
    if operation.op == "remove" or _is_nothing(value):
        return _removed(held, held, target)
    written = _written(attribute, target, value)
    if not written:
        return held
    changed = [item | written for item in held] or [written]
    return settled(attribute, changed, changed[-1:])
