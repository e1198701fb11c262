"""What a request is called in the provisioning log, and whom it names."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scim.actions import action_of, keys_of

ID = "9f0f3d1c-8c2c-4c5a-8d2a-0a3e3c5b8a11"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


def patch(*operations: dict[str, Any]) -> dict[str, Any]:
    return {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": list(operations)}


def op(name: str, path: str | None = None, value: Any = None) -> dict[str, Any]:
    return {"op": name, "path": path, "value": value}


@pytest.mark.parametrize(
    ("endpoint", "method", "resource_id", "body", "parameters", "action"),
    [
        ("/Users", "GET", "", None, {"filter": 'userName eq "a"'}, "user.look-up"),
        ("/Users", "GET", "", None, {"startindex": "1"}, "user.list"),
        ("/users", "HEAD", ID, None, {}, "user.read"),
        ("Users", "POST", "", {"userName": "a", "active": False}, {}, "user.create"),
        ("/Users", "PUT", ID, {"userName": "a", "active": True}, {}, "user.replace"),
        ("/Users", "PUT", ID, {"userName": "a", "Active": "False"}, {}, "user.disable"),
        ("/Users", "DELETE", ID, None, {}, "user.delete"),
        ("/Users", "PATCH", ID, patch(op("replace", "active", False)), {}, "user.disable"),
        ("/Users", "PATCH", ID, patch(op("Replace", "active", [{"value": "False"}])), {}, "user.disable"),
        (
            "/Users",
            "PATCH",
            ID,
            patch(op("replace", None, {"active": False, "title": "x"})),
            {},
            "user.disable",
        ),
        ("/Users", "PATCH", ID, patch(op("replace", None, {"active": "True"})), {}, "user.enable"),
        (
            "/Users",
            "PATCH",
            ID,
            patch(op("replace", None, {"active": True, "title": "x"})),
            {},
            "user.update",
        ),
        ("/Users", "PATCH", ID, patch(op("replace", "userName", "b")), {}, "user.rename"),
        ("/Users", "PATCH", ID, patch(op("add", f"{ENTERPRISE}:department", "b")), {}, "user.update"),
        ("/Users", "PATCH", ID, ["no", "patch"], {}, "user.update"),
        ("/Groups", "POST", "", {"displayName": "x"}, {}, "group.create"),
        ("/Groups", "PATCH", ID, patch(op("Add", "members", [{"value": ID}])), {}, "group.add-members"),
        ("/Groups", "PATCH", ID, patch(op("add", None, {"members": []})), {}, "group.add-members"),
        (
            "/Groups",
            "PATCH",
            ID,
            patch(op("remove", f'members[value eq "{ID}"]')),
            {},
            "group.remove-members",
        ),
        ("/Groups", "PATCH", ID, patch(op("replace", "members", [])), {}, "group.replace-members"),
        (
            "/Groups",
            "PATCH",
            ID,
            patch(op("remove", "members", [{"value": ID}]), op("add", "members", [])),
            {},
            "group.change-members",
        ),
        ("/Groups", "PATCH", ID, patch(op("replace", "displayName", "b")), {}, "group.rename"),
        (
            "/Groups",
            "PATCH",
            ID,
            patch(op("replace", "displayName", "b"), op("add", "members", [])),
            {},
            "group.update",
        ),
        ("/Groups", "DELETE", ID, None, {}, "group.delete"),
        ("/Roles", "GET", "", None, {}, "role.list"),
        ("/TestResources", "PUT", ID, {}, {}, "resource.replace"),
        ("/Users/.search", "POST", "", {"filter": 'userName eq "a"'}, {}, "user.look-up"),
        ("/.search", "POST", "", {"count": 1}, {}, "resource.list"),
        ("/Bulk", "POST", "", {"Operations": []}, {}, "bulk"),
        ("/Schemas", "GET", "", None, {}, "discovery"),
        ("/ServiceProviderConfig", "GET", "", None, {}, "discovery"),
        ("/Me", "GET", "", None, {}, "me"),
        ("/Users", "DELETE", "", None, {}, "user.other"),
    ],
)
def test_an_action_says_what_was_meant(
    endpoint: str, method: str, resource_id: str, body: Any, parameters: dict[str, str], action: str
) -> None:
    assert action_of(endpoint, method, resource_id, body, parameters) == action


@pytest.mark.parametrize(
    ("body", "parameters", "keys"),
    [
        (None, {"filter": 'userName eq "Ada@x.org"'}, {("user_name", "Ada@x.org")}),
        (None, {"filter": 'externalid EQ "a\\"b"'}, {("external_id", 'a"b')}),
        (None, {"filter": 'emails[type eq "work"].value eq "a@x.org"'}, {("email", "a@x.org")}),
        (
            None,
            {"filter": 'emails.value eq "a@x.org" or emails eq "b@x.org"'},
            {("email", "a@x.org"), ("email", "b@x.org")},
        ),
        (None, {"filter": 'displayName eq "Everybody"'}, set()),
        (None, {"filter": 'userName co "ada"'}, set()),
        ({"filter": 'userName eq "ada"'}, None, {("user_name", "ada")}),
        (
            {
                "username": "ada",
                "externalId": "7",
                "emails": [{"value": "a@x.org", "type": "work"}, {"display": "x"}],
            },
            None,
            {("user_name", "ada"), ("external_id", "7"), ("email", "a@x.org")},
        ),
        (patch(op("replace", "userName", "ada")), None, {("user_name", "ada")}),
        (
            patch(op("replace", None, {"externalId": "7", 'emails[type eq "work"].value': "a@x.org"})),
            None,
            {("external_id", "7"), ("email", "a@x.org")},
        ),
        (patch(op("remove", 'emails[value eq "a@x.org"]')), None, {("email", "a@x.org")}),
        (
            {"Operations": [{"method": "POST", "path": "/Users", "data": {"userName": "ada"}}]},
            None,
            {("user_name", "ada")},
        ),
        ({"userName": "", "externalId": 7, "emails": "a@x.org"}, None, {("email", "a@x.org")}),
        ({"userName": "x" * 600}, None, set()),
        ([], None, set()),
    ],
)
def test_the_keys_of_a_request(
    body: Any, parameters: dict[str, str] | None, keys: set[tuple[str, str]]
) -> None:
    assert set(keys_of(body, parameters)) == keys


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["Operations", "op", "path", "value", "userName", "emails", "active", "members", "data"]
            )
            | st.text(max_size=8),
            inner,
            max_size=5,
        )
    ),
    max_leaves=25,
)


@given(
    body=JSON,
    method=st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE"]),
    text=st.text(max_size=60),
)
def test_nonsense_has_a_name_too(body: Any, method: str, text: str) -> None:
    for endpoint in ("/Users", "/Groups", "/Bulk", "/Users/.search", text):
        action = action_of(endpoint, method, text, body, {"filter": text})
        assert 0 < len(action) <= 40
    assert all(isinstance(value, str) and len(value) <= 512 for _, value in keys_of(body, {"filter": text}))


def test_a_filter_without_quotes_names_somebody() -> None:
    assert keys_of(None, {"filter": "userName eq ada and active eq true"}) == (("user_name", "ada"),)
    assert keys_of(None, {"filter": 'emails[type eq "work" and value eq a@x.example]'}) == (
        ("email", "a@x.example"),
    )
