"""What outside judges say of the running server: programs that were written without knowing it."""

from collections import Counter

import pytest
from httpx2 import Client
from pytest_django.live_server_helper import LiveServer
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import CheckResult, Status, check_server
from scim_sanity.probe.runner import run_probe_api

from provisioning.models import DirectoryGroup, Entitlement
from provisioning.services import configuration
from tests.provisioning.cast import OPERATOR
from tests.scim.clients import Idp, an_idp

pytestmark = pytest.mark.django_db(transaction=True)

# It expects 200 for a group PATCH that names nobody. An unknown member refuses the whole request here (400), unless
# the connection is told to skip it.
UNKNOWN_MEMBER = {"PATCH /Groups/{id} add member": "Expected 200, got 400"}


# It creates one of every type that discovery tells of, and RFC 7643 6 has no word for a type that is only read.
READ_ONLY = {(name, "This address does not answer that method.") for name in ("Role", "Entitlement")}


def checked(url: str, idp: Idp) -> list[CheckResult]:
    with Client(
        base_url=f"{url}/scim/v2",
        headers={"Authorization": f"Bearer {idp.token}"},
        trust_env=False,
        timeout=60,
    ) as client:
        return check_server(SyncSCIMClient(client))


def test_scim2_tester_finds_no_error(live_server: LiveServer) -> None:
    results = checked(live_server.url, an_idp("acme"))
    wrong = [f"{r.status}, {r.title}: {r.reason}" for r in results if r.status is not Status.SUCCESS]
    assert wrong == []
    tags = Counter(tag for r in results for tag in r.tags or ())
    # As many as the best server that publishes its result, and none of them a check that was left out.
    assert len(results) >= 135
    assert min(tags[f"patch:{op}"] for op in ("add", "remove", "replace")) > 25


def test_scim2_tester_finds_nothing_but_that_nobody_creates_a_role(live_server: LiveServer) -> None:
    idp = an_idp("acme")
    _map_something(idp)
    results = checked(live_server.url, idp)
    wrong = {(r.resource_type, r.reason) for r in results if r.status is not Status.SUCCESS}
    assert wrong == READ_ONLY
    assert sum(r.status is Status.SUCCESS for r in results) >= 135


def _map_something(idp: Idp) -> None:
    group = DirectoryGroup.objects.get(pk=idp.group("Staff")["id"])
    for kind in Entitlement.Kind:
        made = configuration.create_entitlement(
            tenant=idp.where.tenant, name=f"A {kind}", kind=str(kind), actor=OPERATOR, reason="As agreed"
        )
        configuration.map_entitlement(entitlement=made, group=group, actor=OPERATOR, reason="As agreed")


@pytest.mark.parametrize(("unknown_member", "expected"), [("refuse", UNKNOWN_MEMBER), ("skip", {})])
def test_scim_sanity_finds_nothing_but_what_is_deliberate(
    live_server: LiveServer, unknown_member: str, expected: dict[str, str]
) -> None:
    idp = an_idp("acme", unknown_member=unknown_member)
    _map_something(idp)
    report = run_probe_api(f"{live_server.url}/scim/v2", token=idp.token, strict=True, timeout=60)
    failed = {r["name"]: r["message"] for r in report["results"] if r["status"] not in ("pass", "skip")}
    assert failed == expected
    assert report["summary"]["passed"] >= 27
    # What it leaves out are the resource types of a draft about agents.
    assert all("Agent" in r["name"] for r in report["results"] if r["status"] == "skip")
