"""What load balancers and scrapers are told."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.test import Client

from identity_hub.core.clock import now
from provisioning import reconciliation
from provisioning.decision.policy import Switch
from provisioning.decision.types import Actor
from provisioning.models import Connection, Finding
from provisioning.services import switches
from tests.provisioning.cast import OPERATOR, house


def test_the_process_says_that_it_lives_without_asking_the_database(client: Client) -> None:
    # No django_db mark: pytest-django refuses any query here.
    assert client.get("/healthz").json() == {"status": "alive"}


def test_a_probe_by_address_is_answered_whatever_the_host_name(client: Client) -> None:
    assert client.get("/healthz", headers={"host": "10.1.2.3:8000"}).status_code == 200


@pytest.mark.django_db
def test_a_hub_with_its_services_is_ready(client: Client) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["checks"] | {"redis": "-"} == {"database": "ok", "migrations": "ok", "redis": "-"}


@pytest.mark.django_db
def test_a_hub_without_redis_is_degraded_and_ready(client: Client, settings) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "degraded",
        "checks": {"database": "ok", "migrations": "ok", "redis": "away"},
    }


@pytest.mark.django_db
def test_waiting_findings_are_numbers_without_a_tenant(client: Client) -> None:
    where = house("acme")
    for kind, days in (("account:orphan", 1), ("account:orphan", 90), ("token:expires", 1)):
        Finding.objects.create(
            tenant=where.tenant,
            connection=where.connection,
            kind=kind,
            severity="medium",
            fingerprint=f"{kind}-{days}",
            opened_at=now() - timedelta(days=days),
        )
    Finding.objects.create(
        tenant=where.tenant, kind="account:orphan", severity="medium", fingerprint="x", status="approved"
    )
    told = client.get("/metrics", headers={"authorization": f"Bearer {settings.METRICS_TOKEN}"}).content
    assert b'hub_findings_open{kind="account:orphan",severity="medium"} 2.0' in told
    assert b'hub_findings_overdue{kind="account:orphan",severity="medium"} 1.0' in told
    assert b'hub_findings_overdue{kind="token:expires",severity="medium"} 0.0' in told
    assert b"acme" not in told
    Finding.objects.all().delete()
    told = client.get("/metrics", headers={"authorization": f"Bearer {settings.METRICS_TOKEN}"}).content
    assert b'hub_findings_open{kind="account:orphan",severity="medium"} 0.0' in told


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("days", "happened", "number"),
    [
        pytest.param(1.9, "nothing", 0, id="a connection of yesterday waits for no run"),
        pytest.param(2.1, "nothing", 1, id="after two periods it is overdue, and no job has to say so"),
        pytest.param(2.1, "a run", 0, id="but where one has finished"),
        pytest.param(2.1, "stopped", 0, id="and where none is to run"),
    ],
)
def test_overdue_runs_are_a_number_without_a_worker(
    client: Client, days: float, happened: str, number: int
) -> None:
    where = house("acme")
    if happened == "a run":
        reconciliation.execute(reconciliation.simulate(where.connection, Actor(kind="schedule")))
    if happened == "stopped":
        switches.stop(connection=where.connection, switch=Switch.RUNS, reason="x", actor=OPERATOR)
    Connection.objects.update(created_at=now() - timedelta(days=days))
    told = client.get("/metrics", headers={"authorization": f"Bearer {settings.METRICS_TOKEN}"}).content
    assert f"hub_connections_without_runs {number}.0".encode() in told


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        pytest.param(None, 401, id="nobody"),
        pytest.param("Bearer wrong", 401, id="a wrong token"),
        pytest.param("Basic {token}", 401, id="another scheme"),
        pytest.param("Bearer {token}", 200, id="the holder of the token"),
    ],
)
def test_the_numbers_are_for_the_holder_of_the_token(
    client: Client, authorization: str | None, status: int
) -> None:
    headers = {"authorization": authorization.format(token=settings.METRICS_TOKEN)} if authorization else {}
    answer = client.get("/metrics", headers=headers)
    assert answer.status_code == status
    assert (b"django_http_requests_total" in answer.content) == (status == 200)


def test_a_probe_cannot_be_written_to(client: Client) -> None:
    assert client.post("/healthz").status_code == 405
