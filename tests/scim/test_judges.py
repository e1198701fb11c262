"""What outside judges say of the running server: programs that were written without knowing it."""

from collections import Counter

import pytest
from httpx2 import Client
from pytest_django.live_server_helper import LiveServer
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import Status, check_server
from scim_sanity.probe.runner import run_probe_api

from tests.scim.clients import an_idp

pytestmark = pytest.mark.django_db(transaction=True)

# It expects 200 for a group PATCH that names nobody. An unknown member refuses the whole request here (400), unless
# the connection is told to skip it.
UNKNOWN_MEMBER = {"PATCH /Groups/{id} add member": "Expected 200, got 400"}


def test_scim2_tester_finds_no_error(live_server: LiveServer) -> None:
    idp = an_idp("acme")
    with Client(
        base_url=f"{live_server.url}/scim/v2",
        headers={"Authorization": f"Bearer {idp.token}"},
        trust_env=False,
        timeout=60,
    ) as client:
        results = check_server(SyncSCIMClient(client))
    wrong = [f"{r.status}, {r.title}: {r.reason}" for r in results if r.status is not Status.SUCCESS]
    assert wrong == []
    tags = Counter(tag for r in results for tag in r.tags or ())
    # As many as the best server that publishes its result, and none of them a check that was left out.
    assert len(results) >= 135
    assert min(tags[f"patch:{op}"] for op in ("add", "remove", "replace")) > 25


@pytest.mark.parametrize(("unknown_member", "expected"), [("refuse", UNKNOWN_MEMBER), ("skip", {})])
def test_scim_sanity_finds_nothing_but_what_is_deliberate(
    live_server: LiveServer, unknown_member: str, expected: dict[str, str]
) -> None:
    idp = an_idp("acme", unknown_member=unknown_member)
    report = run_probe_api(f"{live_server.url}/scim/v2", token=idp.token, strict=True, timeout=60)
    failed = {r["name"]: r["message"] for r in report["results"] if r["status"] not in ("pass", "skip")}
    assert failed == expected
    assert report["summary"]["passed"] >= 27
    # What it leaves out are the resource types of a draft about agents.
    assert all("Agent" in r["name"] for r in report["results"] if r["status"] == "skip")
