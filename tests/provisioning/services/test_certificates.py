"""Whom the hub warns before an IdP's certificate ends, and when the warning goes."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog

from provisioning.models import Connection, Finding
from provisioning.services.certificates import warn_of_certificates
from provisioning.tasks.certificates import warn_of_certificate_expiry
from tests.saml_sp.idp import KeyPair, TestIdp, ending

from ..cast import House, extend

END = datetime(2030, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)
pytestmark = pytest.mark.django_db


def published(*pairs: KeyPair, attributes: str = "") -> str:
    idp = TestIdp(entity_id="https://idp.example", keys=pairs[-1], more_certificates=pairs[:-1])
    return idp.metadata(attributes)


def saml(where: House, document: str, **fields: Any) -> Connection:
    fields = {"name": "SAML", "idp_metadata": document} | fields
    return extend(where.tenant, **fields).connection


def warned(at: datetime) -> list[tuple[str, str]]:
    """(kind, severity) of what is asked now, after the job has run twice: the second run must change nothing."""
    warn_of_certificates(at=at)
    assert warn_of_certificates(at=at) == []
    rows = Finding.objects.filter(status="open").exclude(kind="token:expires")
    return sorted(rows.values_list("kind", "severity"))


def test_the_alarm_grows_more_serious_and_says_when_it_is_too_late(acme: House) -> None:
    saml(acme, published(ending("corp", END)))
    assert [warned(END - left) for left in (31 * DAY, 30 * DAY, 8 * DAY, 7 * DAY, DAY)] == [
        [],
        [("certificate:expires", "low")],
        [("certificate:expires", "low")],
        [("certificate:expires", "medium")],
        [("certificate:expires", "high")],
    ]
    evidence = Finding.objects.filter(status="open").get().evidence
    assert (evidence["subject"], evidence["ends"]) == ("CN=corp", END.isoformat())
    assert warned(END + DAY) == [("certificate:ended", "high")]


def test_the_last_good_certificate_is_what_counts(acme: House) -> None:
    saml(acme, published(ending("old", END), ending("new", END + 300 * DAY)))
    # Low, because another good one outlives it by far.
    assert warned(END - DAY) == [("certificate:expires", "low")]
    # The IdP may still sign by it, and nobody needs to hurry.
    assert warned(END + DAY) == [("certificate:ended", "low")]
    assert warned(END + 299 * DAY) == [("certificate:ended", "low"), ("certificate:expires", "high")]


@pytest.mark.parametrize(
    ("outlived_by", "days", "severity"),
    [
        pytest.param(300, 31, None, id="31 days before its end nobody is warned"),
        pytest.param(300, 30, "low", id="outlived by far: low with 30 days left"),
        pytest.param(300, 7, "low", id="and with 7"),
        pytest.param(300, 1, "low", id="and on the last day"),
        pytest.param(20, 7, "medium", id="outlived by less than 30 days: medium with 7 days left"),
        pytest.param(20, 1, "medium", id="and no more on the last day"),
    ],
)
def test_each_certificate_warns_before_its_end(
    acme: House, outlived_by: int, days: int, severity: str | None
) -> None:
    saml(acme, published(ending("old", END), ending("new", END + outlived_by * DAY)))
    warned(END - days * DAY)
    old = Finding.objects.filter(status="open", evidence__subject="CN=old")
    assert list(old.values_list("severity", flat=True)) == ([severity] if severity else [])


def test_it_goes_with_its_cause_and_one_that_was_answered_is_not_asked_again(acme: House) -> None:
    connection = saml(acme, published(ending("corp", END)))
    assert warned(END - 20 * DAY) == [("certificate:expires", "low")]
    Finding.objects.update(status="rejected")
    assert warned(END - 19 * DAY) == []
    assert warned(END - 5 * DAY) == [("certificate:expires", "medium")]
    Connection.objects.filter(pk=connection.pk).update(
        idp_metadata=published(ending("corp", END + 300 * DAY))
    )
    assert warned(END - 4 * DAY) == []


@pytest.mark.parametrize("status", ["draft", "disabled"])
def test_what_admits_nobody_warns_nobody(acme: House, status: str) -> None:
    connection = saml(acme, published(ending("corp", END)))
    assert warned(END - DAY) == [("certificate:expires", "high")]
    Connection.objects.filter(pk=connection.pk).update(status=status)
    assert warned(END - DAY) == []


def test_each_connection_of_each_tenant_is_asked_about_by_itself(acme: House, globex: House) -> None:
    document = published(ending("corp", END))
    rows = {saml(acme, document).pk, saml(acme, document, name="Again").pk, saml(globex, document).pk}
    assert warned(END - DAY) == [("certificate:expires", "high")] * 3
    assert {finding.connection_id for finding in Finding.objects.all()} == rows


@pytest.mark.parametrize(
    ("address", "asked"),
    [
        pytest.param("", ["low", "medium", "high"], id="imported once: at each step"),
        pytest.param(
            "https://idp.example/metadata", [None, None, "high"], id="read every hour: on the last day"
        ),
    ],
)
def test_a_document_that_will_be_over_is_asked_about(
    acme: House, address: str, asked: list[str | None]
) -> None:
    until = f'validUntil="{END:%Y-%m-%dT%H:%M:%SZ}"'
    connection = saml(acme, published(ending("corp", END + 300 * DAY), attributes=until))
    Connection.objects.filter(pk=connection.pk).update(metadata_url=address)
    for days, severity in zip((20, 5, 1), asked, strict=True):
        assert warned(END - days * DAY) == ([("metadata:expires", severity)] if severity else [])


def test_an_address_that_gives_nothing_is_asked_about_after_three_days(acme: House) -> None:
    connection = saml(acme, "", metadata_url="https://idp.example/metadata")
    Connection.objects.filter(pk=connection.pk).update(
        metadata_failing_since=END, metadata_problem="idp.example answered with status 404."
    )
    assert warned(END + 2 * DAY) == []
    assert warned(END + 3 * DAY) == [("metadata:not-refreshed", "medium")]
    assert Finding.objects.get().evidence["problem"] == "idp.example answered with status 404."
    Connection.objects.filter(pk=connection.pk).update(metadata_failing_since=None, metadata_problem="")
    assert warned(END + 4 * DAY) == []


def test_the_job_says_it_in_the_log_too(acme: House) -> None:
    saml(acme, published(ending("corp", datetime.now(UTC) + 2 * DAY)))
    with structlog.testing.capture_logs() as logs:
        warn_of_certificate_expiry()
    assert [(entry["event"], entry["severity"]) for entry in logs] == [("certificate:expires", "medium")]
