"""Our PATCH against scim2-models' own, over thousands of generated documents and operations.

Both apply one operation to the same document. Their results, or the scimTypes of their refusals, are equal but for
the deviations named here, each of which is a rule of ours that real clients need.
"""

from collections.abc import Iterator
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scim2_models import Error, Extension, PatchOp, Resource, Schema, ScimPolicy
from scim2_models.context import Context
from scim2_models.exceptions import SCIMException

from scim import conformance
from scim.documents import canonical, identity, normalised, same_values
from scim.patch import operations_of, patched, target_of
from scim.schemas import JSON, USER, Attribute, ResourceKind

DEVIATIONS = {
    "null": "A replace with null and an add of null unassign: clients empty attributes so.",
    "unknown parts": "Clients decorate the core's values with parts of their own; they are passed over. "
    "In an administrator's schema they are invalidSyntax, as in a body.",
    "an absent primary": "Where primary is not said, it is false (RFC 7643 2.4), also in a filter.",
    "several primaries": "Of several values marked primary the newest is; they are not refused.",
    "a part of nothing": "A part of a list without values makes the first value, as Entra expects.",
    "a whole match": "A selected value that is replaced is replaced as a whole (RFC 7644 3.5.2.3), not merged.",
    "an empty shell": "A value that lost its content, and says only of what type it was, leaves.",
    "a bare value": "A manager may come as a bare id.",
    "a canonical value": "The canonical values of an administrator's schema bind.",
    "an incomplete value": "What a PATCH begins has all that is required of it, as in a POST.",
    "a relative reference": 'RFC 7643 2.3.7: a reference is "the absolute or relative URI" of its target.',
    "two mistakes": "Of a wrong value and a filter that matches nothing, either is named.",
    "a contradiction": "A value that is made for a filter that matched nothing may contradict the filter.",
}
EXAMPLES, OPERATIONS = 400, 4
PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
POLICY = ScimPolicy(
    remove_value_as_filter=ScimPolicy.RemoveValue.apply,
    unmatched_path_filter=ScimPolicy.UnmatchedPathFilter.create,
)


@dataclass(frozen=True)
class World:
    kind: ResourceKind
    model: Any


def model_of(kind: ResourceKind) -> Any:
    """scim2-models' model of the same schemas."""
    core, *rest = (Schema.model_validate(document) for document in kind.documents)
    extensions = [Extension.from_schema(one) for one in rest]
    return Resource.from_schema(core)[reduce(or_, extensions)]


WORLDS = {
    "users": World(USER, model_of(USER)),
    "a type that is nothing but data": World(conformance.kind(), model_of(conformance.kind())),
}

SCALARS: dict[str, list[Any]] = {
    "boolean": [True, False],
    "integer": [0, 1, 2],
    "decimal": [0.5, 1.5],
    "dateTime": ["2026-01-31T08:00:00Z", "2026-02-01T08:00:00Z"],
    "reference": ["https://x.example/1", "https://x.example/2"],
    "binary": ["AAEC", "AAAA"],
}


def scalar(attribute: Attribute) -> st.SearchStrategy[Any]:
    if attribute.canonical_values and attribute.own:
        return st.sampled_from(attribute.canonical_values)
    return st.sampled_from(SCALARS.get(attribute.type, ["a", "b", "c"]))


def kept(attributes: Any) -> list[Attribute]:
    """Those that a client writes. Lists of binary values are left out: the oracle loses some that it is given."""
    found = (one for one in attributes if one.mutability in ("readWrite", "immutable"))
    return [one for one in found if not (one.multi_valued and one.type == "binary")]


@st.composite
def element(draw: Any, attribute: Attribute) -> Any:
    if attribute.type != "complex":
        return draw(scalar(attribute))
    subs = kept(attribute.subs.values())
    needed = [sub for sub in subs if sub.required]
    # Two of these are told apart; a value without any has nothing to be recognised by.
    chosen = draw(st.lists(st.sampled_from(subs), min_size=1, max_size=3, unique_by=lambda sub: sub.name))
    named = {sub.name: sub for sub in (*needed, *chosen)}
    return {name: draw(scalar(sub)) for name, sub in named.items()}


@st.composite
def value_of(draw: Any, attribute: Attribute) -> Any:
    if not attribute.multi_valued:
        return draw(element(attribute))
    # Each type and value once (RFC 7643 2.4): the oracle keeps them twice.
    return draw(
        st.lists(element(attribute), min_size=1, max_size=3, unique_by=lambda one: same(attribute, one))
    )


def same(attribute: Attribute, value: Any) -> str:
    return str(identity(attribute, value) if attribute.subs else value)


def holders(kind: ResourceKind) -> Iterator[tuple[str | None, list[Attribute]]]:
    yield None, [one for one in kept(kind.attributes.values()) if one.name not in ("externalId",)]
    for extension in kind.extensions.values():
        yield extension.urn, kept(extension.attributes.values())


@st.composite
def documents(draw: Any, kind: ResourceKind) -> JSON:
    raw: JSON = {}
    for urn, attributes in holders(kind):
        needed = [one for one in attributes if one.required]
        chosen = draw(st.lists(st.sampled_from(attributes), max_size=5, unique_by=lambda one: one.name))
        held = {one.name: draw(value_of(one)) for one in (*needed, *chosen)}
        if urn is None:
            raw |= held
        elif held:
            raw[urn] = held
    return canonical(kind, raw)


# The oracle compares these as bytes and instants, with a literal that it takes for text.
UNSELECTED = ("binary", "dateTime")


@st.composite
def operations(draw: Any, kind: ResourceKind, document: JSON) -> JSON:
    """Mostly about what the document holds, and mostly about lists: there is the most to do wrong."""
    urn, attributes = draw(st.sampled_from(list(holders(kind))))
    held = document if urn is None else document.get(urn, {})
    present = [one for one in attributes if one.name in held]
    lists = [one for one in present if one.multi_valued and one.subs]
    attribute = draw(
        st.sampled_from(draw(st.sampled_from([one for one in (lists, lists, present, attributes) if one])))
    )
    op = draw(st.sampled_from(["add", "replace", "remove"]))
    name = f"{urn}:{attribute.name}" if urn else attribute.name
    path, target, sub = name, attribute, None
    if attribute.multi_valued and attribute.type != "dateTime" and draw(st.integers(0, 2)):
        path += draw(selections(attribute, held.get(attribute.name, [])))
    if attribute.subs and draw(st.booleans()):
        sub = draw(st.sampled_from(list(attribute.subs.values())))
        path, target = f"{path}.{sub.name}", sub
    operation: JSON = {"op": op, "path": path}
    if op == "remove":
        if path == name and attribute.multi_valued and attribute.type == "complex" and draw(st.booleans()):
            items = [one for one in held.get(attribute.name, []) if "value" in one]
            listed = [{key: one[key] for key in ("value", "type") if key in one} for one in items]
            if listed:
                operation["value"] = [draw(st.sampled_from(listed))]
        return operation
    unusual = draw(st.integers(0, 17))
    if unusual == 11:
        return operation
    if unusual == 7:
        operation["value"] = draw(st.sampled_from([None, "x", {"shoe": 1}, [{"shoe": 1}]]))
    elif sub or "[" in path:
        operation["value"] = draw(element(target))
    else:
        operation["value"] = draw(value_of(target))
        if draw(st.booleans()):
            # Without a path: the attribute is a key, as whole or inside its extension.
            del operation["path"]
            value = operation["value"]
            operation["value"] = {urn: {attribute.name: value}} if urn else {attribute.name: value}
    return operation


@st.composite
def selections(draw: Any, attribute: Attribute, held: list[Any]) -> str:
    """A value filter, mostly of a value that is there."""
    if attribute.type != "complex":
        wanted = draw(st.sampled_from(held) if held else scalar(attribute))
        return f"[value eq {literal(wanted)}]"
    subs = [one for one in kept(attribute.subs.values()) if one.type not in UNSELECTED]
    sub, other = draw(st.sampled_from(subs)), draw(st.sampled_from(subs))
    values = [item[sub.name] for item in held if sub.name in item]
    wanted = draw(st.sampled_from(values) if values and draw(st.integers(0, 3)) else scalar(sub))
    term = f"{sub.name} eq {literal(wanted)}"
    match draw(st.integers(0, 7)):
        case 4:
            return f"[{sub.name} pr]"
        case 5:
            return f"[{term} or {other.name} pr]"
        case 0:
            return f"[{other.name} pr and {term}]"
        case 1:
            return f"[not ({term})]"
        case 2 if sub.type != "boolean":
            return f"[{sub.name} ge {literal(wanted)}]"
        case 3 if other is not sub:
            return f"[{term} and {other.name} eq {literal(draw(scalar(other)))}]"
    return f"[{term}]"


def literal(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f'"{value}"' if isinstance(value, str) else str(value)


Result = JSON | str
"""The document, or the scimType of the refusal."""


def ours(world: World, document: JSON, operation: JSON) -> Result:
    try:
        return patched(world.kind, document, operations_of({"Operations": [operation]}))
    except SCIMException as refused:
        return refused.scim_type


def theirs(world: World, document: JSON, operation: JSON) -> Result:
    schemas = [world.kind.urn, *(urn for urn in document if ":" in urn)]
    resource = world.model.model_validate(document | {"schemas": schemas})
    try:
        patch = PatchOp[world.model].model_validate(
            {"schemas": [PATCH_OP], "Operations": [operation]},
            scim_ctx=Context.RESOURCE_PATCH_REQUEST,
            scim_policy=POLICY,
        )
        patch.patch(resource, POLICY)
    except SCIMException as refused:
        return refused.scim_type
    except ValidationError as refused:
        return str(Error.from_validation_errors(refused)[0].scim_type)
    dumped = resource.model_dump(scim_ctx=Context.DEFAULT)
    # In our form: each type and value once, nothing that is nothing.
    with suppress(SCIMException):
        return normalised(world.kind, {key: value for key, value in dumped.items() if key != "schemas"})
    return dumped


def equal(our: Any, their: Any) -> bool:
    """RFC 7643 2.4: the order of values says nothing."""
    if isinstance(our, dict) and isinstance(their, dict):
        return our.keys() == their.keys() and all(equal(our[name], their[name]) for name in our)
    return same_values(our, their)


def excuse(world: World, document: JSON, operation: JSON, our: Result, their: Result) -> str:
    """Which deviation explains the difference; "" for none."""
    op, value = operation["op"], operation.get("value")
    if "value" in operation and value is None:
        return "null"
    if "shoe" in str(value):
        return "unknown parts"
    if {str(our), str(their)} == {"invalidValue", "noTarget"}:
        return "two mistakes"
    if "path" not in operation:
        attribute_of = next(iter(operation["value"]))
        target = target_of(world.kind, attribute_of)
        if target.attribute is None:
            target = target_of(world.kind, f"{attribute_of}:{next(iter(operation['value'][attribute_of]))}")
    else:
        target = target_of(world.kind, operation["path"])
    attribute, sub = target.attribute, target.sub
    assert attribute is not None
    if target.selection is not None and "primary" in operation["path"].partition("[")[2].partition("]")[0]:
        return "an absent primary"
    if their == "invalidValue" and value == "x" and (sub or attribute).type == "reference":
        return "a relative reference"
    if our == "invalidValue" and (sub or attribute).canonical_values:
        return "a canonical value"
    if their == "invalidValue" and value == "x" and attribute.sub("value") and not attribute.multi_valued:
        return "a bare value"
    if our == "invalidValue" and attribute.demanding:
        return "an incomplete value"
    if isinstance(our, str):
        return ""
    marks = "'primary': True" in str(value) or (sub is not None and sub.name == "primary")
    if their == "invalidValue":
        return "several primaries" if marks else "a contradiction" if target.selection is not None else ""
    if isinstance(their, str) or not attribute.subs or not attribute.multi_valued:
        return ""

    def values(result: JSON, *without: str) -> list[JSON]:
        held = result if target.urn is None else result.get(target.urn, {})
        elements = held.get(attribute.name, [])
        return [{name: one[name] for name in one if name not in without} for one in elements]

    def once(elements: list[JSON]) -> set[str]:
        return {str(sorted(one.items())) for one in elements}

    # Two that differed in the mark alone are one.
    if marks and once(values(our, "primary")) == once(values(their, "primary")):
        return "several primaries"
    if sub and target.selection is None and not values(document) and not values(their):
        return "a part of nothing"
    left = [one for one in values(their) if one not in values(our)]
    shells = [one for one in left if one.keys() <= {"type", "primary", "display"}]
    # One that is made primary takes the mark from whoever had it.
    if (
        (sub or target.selection is not None)
        and shells
        and (len(shells) == len(left) or any("primary" in one for one in shells))
    ):
        return "an empty shell"
    if op == "replace" and sub is None and target.selection is not None:
        return "a whole match" if any(one.keys() - value.keys() for one in values(document)) else ""
    return ""


@pytest.mark.parametrize("name", WORLDS)
@settings(max_examples=EXAMPLES, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_patch_does_what_the_oracle_does(name: str, data: st.DataObject) -> None:
    world = WORLDS[name]
    document = data.draw(documents(world.kind))
    before = deepcopy(document)
    for _ in range(OPERATIONS):
        operation = data.draw(operations(world.kind, document))
        our, their = ours(world, document, operation), theirs(world, document, operation)
        assert document == before, "the document that is patched is left alone"
        if isinstance(our, dict):
            assert normalised(world.kind, our) == our, "nothing empty is kept"
        if not equal(our, their):
            reason = excuse(world, document, operation, our, their)
            assert reason in DEVIATIONS, (document, operation, our, their)


ENTERPRISE = next(iter(USER.extensions.values())).urn
ADA: JSON = {
    "userName": "ada",
    "emails": [{"value": "a", "type": "work", "display": "A"}, {"value": "b", "primary": True}],
}
DATA: JSON = {"name": "one", next(iter(conformance.kind().extensions.values())).urn: {"code": "x"}}
EXAMPLES_OF: dict[str, tuple[str, JSON, JSON]] = {
    "null": ("users", ADA, {"op": "add", "path": "title", "value": None}),
    "unknown parts": ("users", ADA, {"op": "add", "path": "name", "value": {"shoe": 1, "givenName": "Ada"}}),
    "an absent primary": ("users", ADA, {"op": "remove", "path": "emails[primary eq false]"}),
    "several primaries": (
        "users",
        ADA,
        {"op": "replace", "path": "emails", "value": [{"value": v, "primary": True} for v in "cd"]},
    ),
    "a part of nothing": ("users", ADA, {"op": "add", "path": "ims.value", "value": "x"}),
    "a whole match": (
        "users",
        ADA,
        {"op": "replace", "path": 'emails[type eq "work"]', "value": {"value": "c"}},
    ),
    "an empty shell": ("users", ADA, {"op": "remove", "path": 'emails[type eq "work"].value'}),
    "a bare value": ("users", ADA, {"op": "add", "path": f"{ENTERPRISE}:manager", "value": "x"}),
    "a canonical value": (
        "a type that is nothing but data",
        DATA,
        {"op": "add", "path": "colour", "value": "pink"},
    ),
    "an incomplete value": (
        "a type that is nothing but data",
        DATA,
        {"op": "add", "path": "demanding.other", "value": "y"},
    ),
    "a relative reference": ("users", ADA, {"op": "add", "path": "profileUrl", "value": "x"}),
    "two mistakes": ("users", ADA, {"op": "add", "path": 'ims[display co "c"]', "value": "x"}),
    "a contradiction": (
        "users",
        ADA,
        {"op": "replace", "path": 'emails[type eq "home"]', "value": {"type": "other", "value": "c"}},
    ),
}


@pytest.mark.parametrize("deviation", DEVIATIONS)
def test_a_deviation_is_one(deviation: str) -> None:
    """A rule that no longer differs from the oracle's leaves the list."""
    name, document, operation = EXAMPLES_OF[deviation]
    our, their = ours(WORLDS[name], document, operation), theirs(WORLDS[name], document, operation)
    assert not equal(our, their)
    assert excuse(WORLDS[name], document, operation, our, their) == deviation
