"""Very many accounts made, or very many logins refused, at once: one question for each burst."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext
from prometheus_client import REGISTRY
from structlog.testing import capture_logs
from time_machine import Traveller, travel

from identity_hub.core.clock import now
from provisioning.models import AuditRecord, Connection, Finding, OutboxMessage
from provisioning.services import configuration
from saml_sp.bursts import VOUCHED
from saml_sp.models import LoginAttempt
from saml_sp.tasks import watch_bursts
from tests.provisioning.cast import OPERATOR, House, extend, push, sign_in, user

from .idp import assertion_xml, response_xml
from .parties import Browser

NOON = datetime.fromisoformat("2026-03-02T12:00:00+00:00")


@pytest.fixture
def time() -> Iterator[Traveller]:
    with travel(NOON, tick=False) as coordinates:
        yield coordinates


@pytest.fixture
def watched(connection: Connection) -> Connection:
    return limited(connection, burst_creations=2, burst_refusals=3)


def limited(connection: Connection, **limits: int) -> Connection:
    return configuration.change_connection(
        connection=connection, changes=limits, actor=OPERATOR, reason="As agreed"
    )


def house_of(connection: Connection) -> House:
    return House(connection.tenant, connection, "")


def create(connection: Connection, number: int, word: str = "p") -> None:
    for n in range(number):
        assert sign_in(house_of(connection), f"{word}{n}").reason == "login:account-created"


def refuse(connection: Connection, number: int, reason: str = "saml:expired", **more: Any) -> None:
    LoginAttempt.objects.bulk_create(
        [
            LoginAttempt(
                tenant_id=connection.tenant_id,
                connection=connection,
                outcome=LoginAttempt.Outcome.REFUSED,
                reason=reason,
                at=now(),
                **more,
            )
            for _ in range(number)
        ]
    )


def asked() -> list[tuple[str, str, str]]:
    return list(Finding.objects.order_by("opened_at", "kind").values_list("kind", "severity", "status"))


def test_as_much_as_a_connection_allows_for_is_no_burst(watched: Connection) -> None:
    create(watched, 2)
    refuse(watched, 3)
    watch_bursts()
    assert asked() == []


def test_a_burst_of_accounts_is_asked_about(watched: Connection) -> None:
    create(watched, 3)
    with capture_logs() as logs:
        watch_bursts()
    (finding,) = Finding.objects.all()
    assert (finding.kind, finding.severity) == ("connection:creation-burst", "high")
    assert finding.connection_id == watched.pk
    assert (finding.evidence["most"], finding.evidence["threshold"], finding.evidence["minutes"]) == (
        3,
        2,
        10,
    )
    (line,) = [line for line in logs if line["event"] == "connection:creation-burst"]
    assert (line["number"], line["connection"]) == (3, str(watched.pk))
    assert OutboxMessage.objects.get(topic="finding.opened").payload == {"finding": str(finding.pk)}
    record = AuditRecord.objects.get(reason="finding:opened")
    assert (record.actor_kind, record.connection_id, record.object_id) == ("schedule", watched.pk, finding.pk)


def test_a_burst_of_refusals_is_asked_about_with_its_reasons(watched: Connection) -> None:
    refuse(watched, 3)
    refuse(watched, 2, "login:no-account")
    watch_bursts()
    (finding,) = Finding.objects.all()
    assert (finding.kind, finding.severity) == ("connection:refusal-burst", "medium")
    assert finding.evidence["reasons"] == {"saml:expired": 3, "login:no-account": 2}
    assert finding.evidence["noise"] == 0


@pytest.mark.parametrize(
    "reason",
    [
        pytest.param("saml:method", id="the address opened without a message"),
        pytest.param("saml:malformed", id="no message at all"),
        pytest.param("saml:unsolicited", id="an answer that nobody asked for"),
        pytest.param("saml:request-unknown", id="an answer to a request that never was"),
        pytest.param("saml:browser-foreign", id="an answer without the cookie"),
        pytest.param("saml:issuer-foreign", id="another issuer, which is read before the signature too"),
        pytest.param("saml:unsigned", id="an unsigned answer to a sign-in that its sender began"),
        pytest.param("saml:signature-invalid", id="a forged answer to a sign-in that its sender began"),
        pytest.param("saml:idp-refused", id="a status that nobody signed"),
        pytest.param("connection:frozen", id="a sign-in while the connection is frozen"),
    ],
)
def test_what_anybody_can_cause_opens_no_finding_and_is_told_beside_one(
    watched: Connection, reason: str
) -> None:
    refuse(watched, 300, reason)
    refuse(watched, 3)
    watch_bursts()
    assert asked() == []
    refuse(watched, 1)
    watch_bursts()
    evidence = Finding.objects.get().evidence
    assert (evidence["most"], evidence["noise"]) == (4, 300)
    assert evidence["reasons"] == {reason: 300, "saml:expired": 4}


@pytest.mark.parametrize(
    "reason",
    [
        pytest.param("saml:audience-foreign", id="what a rule refuses of a signed message"),
        pytest.param("saml:not-verified", id="what the library refuses of one"),
        pytest.param("login:not-allowed", id="whom the connection does not let in"),
    ],
)
def test_what_only_the_idp_can_cause_opens_a_finding(watched: Connection, reason: str) -> None:
    refuse(watched, 4, reason)
    watch_bursts()
    assert Finding.objects.get().evidence["reasons"] == {reason: 4}


def test_bare_requests_of_its_address_raise_no_alarm(browser: Browser, watched: Connection) -> None:
    for _ in range(9):
        browser.client.get(f"/saml/{watched.pk}/acs")
    assert LoginAttempt.objects.filter(reason="saml:method").count() == 9
    watch_bursts()
    assert asked() == []


def test_every_code_that_counts_is_one_that_a_login_can_end_with() -> None:
    written = "".join(path.read_text() for path in Path("saml_sp").glob("*.py") if path.name != "bursts.py")
    assert [code for code in VOUCHED if f'"{code}"' not in written] == []


def test_people_whom_scim_delivers_are_no_burst(watched: Connection) -> None:
    for n in range(5):
        push(house_of(watched), user(f"u{n}@corp.example", f"e{n}"))
        sign_in(house_of(watched), f"p{n}", external_id=f"e{n}")
    watch_bursts()
    assert asked() == []


def test_logins_that_succeed_are_no_refusals(watched: Connection) -> None:
    create(watched, 2)
    LoginAttempt.objects.bulk_create(
        [
            LoginAttempt(tenant_id=watched.tenant_id, connection=watched, outcome="admitted", reason="x")
            for _ in range(9)
        ]
    )
    watch_bursts()
    assert asked() == []


def test_a_process_of_the_version_before_counts_its_refusals_while_the_next_one_starts(
    watched: Connection,
) -> None:
    refuse(watched, 1)
    with database.cursor() as cursor:
        # It names the columns that it knows.
        cursor.execute(
            "INSERT INTO saml_sp_loginattempt (id, reference, tenant_id, connection_id, outcome, reason, detail, "
            "verdicts, request_id, at) SELECT gen_random_uuid(), 'old', tenant_id, connection_id, outcome, reason, "
            "detail, verdicts, request_id, at FROM saml_sp_loginattempt LIMIT 1"
        )
    assert LoginAttempt.objects.get(reference="old").message == ""


def test_what_is_ten_minutes_apart_is_no_burst(watched: Connection, time: Traveller) -> None:
    create(watched, 2, "early")
    refuse(watched, 3)
    time.shift(timedelta(minutes=10))
    create(watched, 2, "late")
    refuse(watched, 3)
    watch_bursts()
    assert asked() == []


def test_without_a_threshold_nothing_is_a_burst(watched: Connection) -> None:
    limited(watched, burst_creations=0, burst_refusals=0)
    create(watched, 5)
    refuse(watched, 9)
    watch_bursts()
    assert asked() == []


def test_each_connection_is_counted_by_itself(watched: Connection) -> None:
    other = limited(extend(watched.tenant, "Other").connection, burst_creations=2, burst_refusals=3)
    create(watched, 2)
    create(other, 2, "q")
    refuse(watched, 2)
    refuse(other, 4)
    watch_bursts()
    assert [finding.connection_id for finding in Finding.objects.all()] == [other.pk]


def test_a_burst_that_goes_on_is_asked_about_once(watched: Connection, time: Traveller) -> None:
    for minutes in range(30):
        refuse(watched, 4 if minutes < 20 else 1)
        watch_bursts()
        time.shift(timedelta(minutes=1))
    (finding,) = Finding.objects.all()
    assert finding.status == "open"
    assert finding.evidence["most"] == 40
    assert finding.evidence["first"] == NOON.isoformat()
    assert finding.evidence["last"] == (NOON + timedelta(minutes=29)).isoformat()


@pytest.mark.parametrize("status", ["approved", "rejected"])
def test_what_a_person_has_dealt_with_is_asked_again_after_a_pause(
    watched: Connection, time: Traveller, status: str
) -> None:
    refuse(watched, 4)
    watch_bursts()
    Finding.objects.update(status=status)
    time.shift(timedelta(minutes=50))
    refuse(watched, 4)
    watch_bursts()
    assert asked() == [("connection:refusal-burst", "medium", status)]
    time.shift(timedelta(minutes=61))
    refuse(watched, 4)
    watch_bursts()
    assert [row[2] for row in asked()] == [status, "open"]


def test_a_question_that_nobody_answered_waits_however_calm_it_is(
    watched: Connection, time: Traveller
) -> None:
    create(watched, 3)
    refuse(watched, 4)
    watch_bursts()
    time.shift(timedelta(days=60))
    watch_bursts()
    assert asked() == [
        ("connection:creation-burst", "high", "open"),
        ("connection:refusal-burst", "medium", "open"),
    ]
    create(watched, 5, "again")
    watch_bursts()
    noted = Finding.objects.get(kind="connection:creation-burst").evidence
    assert (noted["most"], noted["last"]) == (5, (NOON + timedelta(days=60)).isoformat())


def test_how_many_connections_there_are_costs_no_statement(watched: Connection) -> None:
    def statements() -> int:
        with CaptureQueriesContext(database) as captured:
            watch_bursts()
        return len(captured)

    alone = statements()
    for n in range(5):
        other = extend(watched.tenant, f"Other {n}").connection
        create(other, 1, f"o{n}-")
        refuse(other, 2)
    assert statements() == alone


def test_the_numbers_name_no_tenant(browser: Browser, watched: Connection) -> None:
    def counted(**labels: str) -> float:
        return REGISTRY.get_sample_value("hub_logins_total", labels) or 0.0

    made = {"outcome": "admitted", "reason": "login:account-created"}
    unsigned = {"outcome": "refused", "reason": "saml:unsigned"}
    before = counted(**made), counted(**unsigned)
    browser.sign_in()
    facts = browser.facts()
    browser.post(response_xml(facts, assertion_xml(facts)))
    assert (counted(**made), counted(**unsigned)) == (before[0] + 1, before[1] + 1)


# One message that comes many times.


def test_one_assertion_that_disagrees_is_told_once_and_raises_no_alarm(
    watched: Connection, browser: Browser
) -> None:
    two = {"email": ["ada@corp.example"], "mail": ["eve@corp.example"]}
    message = browser.idp.signed_assertion(browser.facts(attributes=two))
    with travel(now(), tick=False) as time:
        for _ in range(6):
            assert browser.post(message).status_code == 403
            time.shift(timedelta(seconds=12))
        assert AuditRecord.objects.filter(reason="saml:emails-disagree").count() == 1
        reasons = list(LoginAttempt.objects.order_by("at").values_list("reason", flat=True))
        assert reasons == ["saml:emails-disagree", "saml:replayed", "saml:replayed", "saml:replayed"]
        watch_bursts()
    assert asked() == []
    # The same person, and the same request, where the IdP has been mended.
    asked_for = browser.start()
    facts = browser.idp.facts(asked_for, now(), attributes=two)
    assert browser.post(browser.idp.signed_assertion(facts)).status_code == 403
    better = browser.idp.facts(asked_for, now(), attributes={"email": ["ada@corp.example"]})
    assert browser.post(browser.idp.signed_assertion(better)).status_code == 302


def test_one_used_assertion_raises_no_alarm_however_often_it_comes(
    watched: Connection, browser: Browser
) -> None:
    message = browser.idp.signed_assertion(browser.facts())
    assert browser.post(message).status_code == 302
    assert browser.post(message).status_code == 302, "the second half of a double click"
    with travel(now() + timedelta(seconds=40), tick=False):
        for _ in range(6):
            assert browser.post(message).status_code == 403
        assert LoginAttempt.objects.filter(reason="saml:replayed").count() == 6
        watch_bursts()
    assert asked() == []


def test_different_messages_are_counted_each(watched: Connection) -> None:
    for number in range(4):
        refuse(watched, 2, "saml:replayed", message=f"{number:064x}")
    watch_bursts()
    (finding,) = Finding.objects.all()
    assert finding.evidence["reasons"] == {"saml:replayed": 4}
