"""A page costs the same number of statements whether there are few rows or many."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from provisioning import reconciliation
from provisioning.admin import dashboard

from ..cast import OPERATOR, push, sign_in
from .scene import Scene, person


@pytest.mark.parametrize(
    "address",
    [
        "/admin/",
        "/admin/find/?q=crowd",
        "/admin/provisioning/tenant/{tenant}/posture/",
        "/admin/provisioning/identity/",
        "/admin/provisioning/account/",
        "/admin/provisioning/finding/",
        "/admin/provisioning/finding/{finding}/change/",
        "/admin/provisioning/connection/",
        "/admin/provisioning/directorygroup/",
        "/admin/provisioning/reconciliationrun/",
        "/admin/provisioning/reconciliationitem/",
        "/admin/provisioning/auditrecord/",
        "/admin/provisioning/scimrequest/",
        "/admin/saml_sp/loginattempt/",
        "/admin/provisioning/identity/{active}/change/",
    ],
)
def test_more_people_cost_no_more_statements(
    admin: Client, ours: Scene, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On a busy machine an answer takes so long that the start page keeps it, and asks nothing the next time.
    monkeypatch.setattr(dashboard, "DEAR", float("inf"))
    address = address.format(active=ours.active.pk, finding=ours.finding.pk, tenant=ours.where.tenant.pk)

    def statements() -> int:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert admin.get(address).status_code == 200
        return len(queries)

    for number in range(2):
        push(ours.where, person(ours.where, f"crowd{number}", "Crowd", "Person", 100 + number))
        # The second ends the first: what ended runs did is one more question of the start page.
        reconciliation.simulate(ours.where.connection, OPERATOR, reason="As agreed")
    admin.get(address)
    few = statements()
    for number in range(12):
        push(ours.where, person(ours.where, f"crowd{number + 2}", "Crowd", "Person", 200 + number))
        sign_in(
            ours.where,
            f"crowd{number}@{ours.where.domain}",
            email=f"crowd{number}@{ours.where.domain}",
            format="unspecified",
        )
    for _ in range(3):
        reconciliation.simulate(ours.where.connection, OPERATOR, reason="As agreed")
    assert statements() == few
