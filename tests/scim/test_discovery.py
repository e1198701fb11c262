"""What the server says of itself is what it does."""

from typing import Any

import pytest
from django.test import Client
from scim2_models import Context, ResourceType, Schema, ServiceProviderConfig

from tests.scim.clients import ENTERPRISE_URN, GROUP_URN, USER_URN, Idp, error_of

pytestmark = pytest.mark.django_db
LIST_URN = "urn:ietf:params:scim:api:messages:2.0:ListResponse"


def test_the_configuration_is_complete_and_true(idp: Idp) -> None:
    body = idp.get("/ServiceProviderConfig").json()
    ServiceProviderConfig.model_validate(body, scim_ctx=Context.RESOURCE_QUERY_RESPONSE)
    supported = {key: value["supported"] for key, value in body.items() if "supported" in value}
    assert supported == {
        "patch": True,
        "filter": True,
        "etag": True,
        "bulk": True,
        "sort": True,
        "changePassword": False,
    }
    assert (body["bulk"]["maxOperations"], body["bulk"]["maxPayloadSize"]) == (1000, 4 * 1024 * 1024)
    limit = body["filter"]["maxResults"]
    assert body["pagination"]["maxPageSize"] == limit


def test_the_configuration_needs_no_token_but_tests_one(idp: Idp) -> None:
    """RFC 7643 5: the schemes SHOULD be "publicly accessible without prior authentication"."""
    assert Client().get("/scim/v2/ServiceProviderConfig").status_code == 200
    wrong = Client().get("/scim/v2/ServiceProviderConfig", headers={"Authorization": "Bearer wrong"})
    assert wrong.status_code == 401


def test_the_configuration_is_not_filtered(idp: Idp) -> None:
    """RFC 7644 4: "If a "filter" is provided, the service provider SHOULD respond with HTTP status code 403"."""
    path = "/ServiceProviderConfig"
    assert error_of(idp.get(path, filter="patch pr")) == (403, None)
    assert error_of(Client().get(f"/scim/v2{path}?FILTER=x")) == (403, None)
    wrong = {"Authorization": "Bearer wrong"}
    assert error_of(idp.send("GET", path, query={"filter": "x"}, headers=wrong)) == (401, None)
    assert idp.get(path, attributes="patch").status_code == 200


@pytest.mark.parametrize(
    ("path", "model", "ids"),
    [
        ("/ResourceTypes", ResourceType, ["User", "Group"]),
        ("/Schemas", Schema, [USER_URN, ENTERPRISE_URN, GROUP_URN]),
    ],
)
def test_a_catalogue_is_a_list_with_entries(idp: Idp, path: str, model: Any, ids: list[str]) -> None:
    body = idp.get(path).json()
    assert body["schemas"] == [LIST_URN]
    assert body["totalResults"] == len(ids)
    assert [entry["id"] for entry in body["Resources"]] == ids
    for entry in body["Resources"]:
        model.model_validate(entry, scim_ctx=Context.RESOURCE_QUERY_RESPONSE)
        assert idp.get(f"{path}/{entry['id'].upper()}").json() == entry
        assert entry["meta"]["location"].endswith(f"/scim/v2{path}/{entry['id']}")
    assert error_of(idp.get(f"{path}/urn:example")) == (404, None)
    # RFC 7644 4: "If a "filter" is provided, the service provider SHOULD respond with ... 403 (Forbidden)"
    assert error_of(idp.get(path, filter='id eq "x"')) == (403, None)
    assert error_of(idp.post(path, {})) == (405, None)


def test_endpoints_are_relative(idp: Idp) -> None:
    types = idp.get("/ResourceTypes").json()["Resources"]
    assert [entry["endpoint"] for entry in types] == ["/Users", "/Groups"]
    assert types[0]["schemaExtensions"] == [{"schema": ENTERPRISE_URN, "required": False}]


def test_every_published_attribute_can_be_written_and_read(idp: Idp) -> None:
    """Discovery promises nothing that a POST would not keep."""
    core, enterprise = idp.get("/Schemas").json()["Resources"][:2]

    def sample(attribute: dict[str, Any]) -> Any:
        if attribute["mutability"] in ("readOnly", "writeOnly"):
            return None
        if attribute["type"] == "complex":
            value: Any = {sub["name"]: sample(sub) for sub in attribute["subAttributes"]}
            value = {key: inner for key, inner in value.items() if inner is not None}
        else:
            kinds = {"boolean": True, "binary": "AAAA", "reference": "https://x.example/"}
            value = kinds.get(attribute["type"], attribute["name"])
        return [value] if attribute["multiValued"] else value

    def whole(schema: dict[str, Any]) -> dict[str, Any]:
        found = {attribute["name"]: sample(attribute) for attribute in schema["attributes"]}
        return {key: value for key, value in found.items() if value is not None}

    sent = whole(core) | {ENTERPRISE_URN: whole(enterprise)}
    answer = idp.post("/Users", sent)
    assert answer.status_code == 201, answer.content
    shown = idp.get(f"/Users/{answer.json()['id']}").json()
    assert {key: shown.get(key) for key in sent} == sent
