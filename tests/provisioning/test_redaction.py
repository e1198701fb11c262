"""What the provisioning log shows of a message: its shape and its names, and nobody's data."""

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provisioning.redaction import MARK, MOST_BYTES, redacted, without_values
from scim.schemas import GROUP, USER, Attribute

ID = "9f0f3d1c-8c2c-4c5a-8d2a-0a3e3c5b8a11"
PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


def test_a_person_without_what_is_personal() -> None:
    assert redacted(
        {
            "schemas": [USER.urn, ENTERPRISE],
            "userName": "ada@x.org",
            "externalId": ID,
            "password": {"value": ID},
            "active": False,
            "name": {"givenName": "Ada", "familyName": ""},
            "emails": [{"value": "ada@x.org", "type": "work", "primary": "True"}, {"type": "Ada's"}],
            "phoneNumbers": None,
            ENTERPRISE: {"employeeNumber": 4711, "manager": {"value": ID}},
            "ada@x.org": {"active": True, "userName": "x"},
        }
    ) == {
        "schemas": [USER.urn, ENTERPRISE],
        "userName": MARK,
        "externalId": MARK,
        "password": MARK,
        "active": False,
        "name": {"givenName": MARK, "familyName": ""},
        "emails": [{"value": MARK, "type": "work", "primary": "True"}, {"type": MARK}],
        "phoneNumbers": None,
        ENTERPRISE: {"employeeNumber": MARK, "manager": {"value": ID}},
        MARK: MARK,
    }


@pytest.mark.parametrize(
    ("operation", "shown"),
    [
        ({"op": "Replace", "path": "active", "value": "False"}, None),
        ({"op": "replace", "path": "active", "value": [{"value": "False"}]}, None),
        ({"op": "replace", "path": "active", "value": "ada"}, {"value": MARK}),
        ({"op": "destroy", "path": "active"}, {"op": MARK}),
        ({"op": "add", "path": "members", "value": [{"value": ID}]}, None),
        ({"op": "remove", "path": f'members[value eq "{ID}"]'}, None),
        ({"op": "remove", "path": f'emails[value eq "{ID}"]'}, {"path": f'emails[value eq "{MARK}"]'}),
        ({"op": "add", "path": 'emails[type eq "work"].value', "value": "a@x.org"}, {"value": MARK}),
        (
            {"op": "add", "path": 'emails[type eq "work" and value co "ada].value', "value": True},
            {"path": f'emails[type eq "work" and value co "{MARK}"'},
        ),
        ({"op": "replace", "path": "password", "value": "true"}, {"value": MARK}),
        ({"op": "replace", "path": "PassWord", "value": ID}, {"value": MARK}),
        ({"op": "replace", "path": f"{USER.urn}:password", "value": [ID]}, {"value": MARK}),
        ({"op": "replace", "path": f"{ENTERPRISE}:manager.value", "value": ID}, None),
        ({"op": "replace", "path": "ada.lovelace", "value": "x"}, {"path": MARK, "value": MARK}),
        (
            {"op": "replace", "value": {"name.givenName": "Ada", "active": True}},
            {"value": {"name.givenName": MARK, "active": True}},
        ),
    ],
)
def test_an_operation_without_its_values(operation: dict[str, Any], shown: dict[str, Any] | None) -> None:
    body = {"schemas": [PATCH_OP], "Operations": [operation]}
    assert redacted(body) == {"schemas": [PATCH_OP], "Operations": [operation | (shown or {})]}


def test_a_query_keeps_its_shape() -> None:
    asked = {
        "filter": f'userName eq "ada" and (active eq true or id eq "{ID}")',
        "count": 5,
        "sortby": "name.familyName",
    }
    assert redacted(asked) == asked | {"filter": f'userName eq "{MARK}" and (active eq true or id eq "{ID}")'}
    assert redacted({"filter": "userName eq ada"}) == {"filter": f"userName eq {MARK}"}


def test_names_of_the_tenants_own_schemas_are_shown() -> None:
    body = {"urn:example:custom:2.0:User": {"badgeColour": "red"}}
    assert redacted(body) == {"urn:example:custom:2.0:User": {MARK: MARK}}
    assert redacted(body, frozenset({"badgecolour"})) == {
        "urn:example:custom:2.0:User": {"badgeColour": MARK}
    }


def test_a_long_list_is_counted() -> None:
    members = [{"value": ID}] * 1000
    shown = redacted({"Operations": [{"op": "add", "path": "members", "value": members}]})
    value = shown["Operations"][0]["value"]
    assert (value[0], value[-1], len(value)) == ({"value": ID}, f"{MARK} 990 more", 11)


def names(attributes: Any) -> set[str]:
    found: set[str] = set()
    one: Attribute
    for one in attributes.values():
        found |= {one.name} | names(one.subs)
    return found


def test_every_published_attribute_has_a_name_here() -> None:
    known = names(USER.attributes) | names(GROUP.attributes)
    for extension in USER.extensions.values():
        known |= names(extension.attributes)
    unknown = {name for name in known if name not in redacted({name: ""})}
    assert unknown == set()


@pytest.mark.parametrize(
    ("detail", "body", "told"),
    [
        ("userName: this attribute is required.", {"active": True}, "userName: this attribute is required."),
        (
            "nick: the User schema has no such attribute.",
            {"nick": "x"},
            "nick: the User schema has no such attribute.",
        ),
        ("nick: there is no such attribute.", {"filter": 'nick eq "x"'}, "nick: there is no such attribute."),
        (
            "ada@x.org: there is no such attribute.",
            {"ada@x.org": 1},
            f"{MARK}: there is no such attribute.",
        ),
        (
            'emails[value eq "a@x.org"].foo: no.',
            {"path": 'emails[value eq "a@x.org"].foo'},
            f"emails[value eq {MARK}].{MARK}: no.",
        ),
        ('The word "Lovelace" is not one.', {"title": "x"}, f"The word {MARK} is not one."),
        ("Lovelace: unexpected.", {"filter": "userName eq Lovelace"}, f"{MARK}: unexpected."),
        ("Lovelace is taken.", {"userName": "Lovelace"}, f"{MARK} is taken."),
        (f"{'x' * 100}: unknown.", {"x" * 150: 1}, MARK),
    ],
)
def test_an_error_does_not_quote_values(detail: str, body: Any, told: str) -> None:
    assert without_values(detail, body) == told


# No letter of these makes a word that the schemas have.
SECRET = st.text("qxzjkQXZJK@ÄŸ\n\"'\\[]().:=-0\x00\ud800", min_size=3, max_size=60)
KEYS = [
    "userName",
    "emails",
    "value",
    "type",
    "path",
    "op",
    "Operations",
    "members",
    "schemas",
    "id",
    "active",
]
KEYS += ["filter", "password", "manager", "attributes", "name.givenName"]
KEYS += [ENTERPRISE, 'emails[type eq "work"].value']
KEY = st.sampled_from(KEYS)
BODY = st.recursive(
    SECRET | st.booleans() | st.none() | st.integers(),
    lambda inner: (
        st.lists(inner, max_size=15)
        | st.dictionaries(KEY | SECRET, inner, max_size=8)
        | st.fixed_dictionaries({"op": st.just("add"), "path": KEY | SECRET, "value": inner})
    ),
    max_leaves=40,
)


def texts(value: Any) -> set[str]:
    if isinstance(value, str):
        return {value}
    if isinstance(value, dict):
        return texts(list(value)) | texts(list(value.values()))
    return {text for inner in value for text in texts(inner)} if isinstance(value, list) else set()


@settings(max_examples=300)
@given(BODY)
def test_no_value_survives(body: Any) -> None:
    shown = orjson.dumps(redacted(body)).decode()
    assert len(shown.encode()) <= MOST_BYTES
    assert not set(shown) & set("QXZJKÄŸ@="), shown
    assert not {text for text in texts(body) - {*KEYS, "add"} if len(text.strip()) > 2} & texts(
        redacted(body)
    )


@settings(max_examples=200)
@given(
    st.dictionaries(st.text(min_size=1), st.text() | st.lists(st.text()), max_size=200), st.integers(1, 40)
)
def test_it_is_never_longer_than_its_bound(body: Any, deep: int) -> None:
    for _ in range(deep):
        body = {"members": [body, body], "filter": 'x"' * 200}
    assert len(orjson.dumps(redacted(body))) <= MOST_BYTES
