"""What outside judges say of the running server: programs that were written without knowing it."""

import pytest
from httpx2 import Client
from pytest_django.live_server_helper import LiveServer
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import Status, check_server
from scim_sanity.probe.runner import run_probe_api

from tests.scim.clients import an_idp

pytestmark = pytest.mark.django_db(transaction=True)

# It expects 200 for a group PATCH that names nobody; an unknown member refuses the whole request here (400).
DELIBERATE = {"PATCH /Groups/{id} add member": "Expected 200, got 400"}


def test_scim2_tester_finds_no_error(live_server: LiveServer) -> None:
    idp = an_idp("acme")
    with Client(
        base_url=f"{live_server.url}/scim/v2",
        headers={"Authorization": f"Bearer {idp.token}"},
        trust_env=False,
        timeout=60,
    ) as client:
        results = check_server(SyncSCIMClient(client))
    wrong = [
        f"{r.title}: {r.reason}"
        for r in results
        if r.status not in (Status.SUCCESS, Status.COMPLIANT, Status.SKIPPED)
    ]
    assert wrong == []
    assert len([r for r in results if r.status in (Status.SUCCESS, Status.COMPLIANT)]) > 100


def test_scim_sanity_finds_no_error_but_the_deliberate_one(live_server: LiveServer) -> None:
    idp = an_idp("acme")
    report = run_probe_api(f"{live_server.url}/scim/v2", token=idp.token, strict=True, timeout=60)
    failed = {r["name"]: r["message"] for r in report["results"] if r["status"] in ("fail", "error")}
    assert failed == DELIBERATE
    assert report["summary"]["passed"] > 20
