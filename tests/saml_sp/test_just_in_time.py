"""What a first login may do, and what its groups give, over HTTP."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from identity_hub.core.clock import now
from provisioning.decision.policy import Switch
from provisioning.models import (
    Account,
    AuditRecord,
    AuditValue,
    Connection,
    Entitlement,
    Finding,
    Identity,
    Session,
)
from provisioning.services import configuration, retention, switches
from provisioning.services.configuration import Invalid
from saml_sp.models import LoginAttempt
from tests.provisioning.cast import OPERATOR, House, house, push, user

from .idp import TestIdp
from .parties import Browser, make_connection, make_tenant, nobody_came_in

MAIL = {"email": ["ada@corp.example"]}


def allow(connection: Connection, value: str) -> Entitlement:
    entitlement = configuration.create_entitlement(
        tenant=connection.tenant, name=f"Role of {value}", actor=OPERATOR, reason="As agreed"
    )
    configuration.allow_group(
        connection=connection, value=value, entitlement=entitlement, actor=OPERATOR, reason="As agreed"
    )
    return entitlement


ENTRA_GROUPS = "http://schemas.microsoft.com/ws/2008/06/identity/claims/groups"


@pytest.mark.parametrize(
    ("configured", "sent"),
    [("groups", "groups"), ("Groups", "groups"), (ENTRA_GROUPS, ENTRA_GROUPS)],
    ids=["by its name", "by its name in another case", "as Entra names it"],
)
def test_groups_of_the_assertion_give_what_the_allow_list_says(
    browser: Browser, connection: Connection, configured: str, sent: str
) -> None:
    configuration.change_connection(
        connection=connection,
        changes={"group_attribute": configured, "groups_unconfirmed": True},
        actor=OPERATOR,
        reason="As agreed",
    )
    entitlement = allow(connection, "Staff")
    browser.sign_in(attributes=MAIL | {sent: ["Works council", "Staff"]})
    identity = Identity.objects.get()
    assert list(Entitlement.objects.of_identity(identity)) == [entitlement]
    assert browser.me().json()["groups"] == ["Staff"]
    assert Account.objects.get().assertion["groups"] == ["Staff"]
    browser.sign_in(attributes=MAIL)
    assert not Entitlement.objects.of_identity(identity).exists()
    assert browser.me().json()["groups"] == []


def test_nobody_has_a_privilege_by_an_attribute_that_nobody_configured(
    browser: Browser, connection: Connection
) -> None:
    allow(connection, "Staff")
    browser.sign_in(attributes=MAIL | {"groups": ["Staff"], "memberOf": ["Staff"], "role": ["Staff"]})
    identity = Identity.objects.get()
    assert not Entitlement.objects.of_identity(identity).exists()
    assert not identity.is_staff
    assert "groups" not in Account.objects.get().assertion


@pytest.mark.django_db
def test_an_email_is_of_its_domain_in_either_form(idp: TestIdp) -> None:
    connection = make_connection(make_tenant("books", "xn--bcher-kva.example"), idp)
    for number, domain in enumerate(("b\u00fccher.example", "B\u00dcCHER.example", "xn--bcher-kva.example")):
        browser = Browser(connection=connection, idp=idp)
        browser.sign_in(name_id=f"p-{number}", attributes={"email": [f"ada.{number}@{domain}"]})
        assert browser.me().status_code == 200
    assert Account.objects.count() == 3


def change(connection: Connection, **changes: Any) -> None:
    configuration.change_connection(
        connection=connection, changes=changes, actor=OPERATOR, reason="As agreed"
    )


LIMITS: dict[str, tuple[dict[str, Any], dict[str, list[str]], str, dict[str, str], list[str]]] = {
    "another group": (
        {"group_attribute": "memberOf", "jit_groups": ["Staff", "cn=Board,o=corp"]},
        {"memberOf": ["Guests", "Works council"]},
        "login:group-not-allowed",
        {"attribute": "groups", "expected": "Staff, cn=Board,o=corp", "found": "another value"},
        ["Guests", "Works council"],
    ),
    "no group": (
        {"group_attribute": "memberOf", "jit_groups": ["Staff"]},
        {"groups": ["Staff"]},
        "login:group-not-allowed",
        {"attribute": "groups", "expected": "Staff", "found": "nothing"},
        [],
    ),
    "another department": (
        {"jit_attributes": {"department": ["Sales"]}},
        {"department": ["Confidential project"]},
        "login:attribute-not-allowed",
        {"attribute": "department", "expected": "Sales", "found": "another value"},
        ["Confidential project"],
    ),
    "another value of an assertion attribute": (
        {"jit_attributes": {"eduPersonAffiliation": ["employee"]}},
        {"eduPersonAffiliation": ["student", "patient"]},
        "login:attribute-not-allowed",
        {"attribute": "eduPersonAffiliation", "expected": "employee", "found": "another value"},
        ["student", "patient"],
    ),
    "an e-mail of another domain": (
        {},
        {"email": ["ada@elsewhere.example"]},
        "login:domain-not-allowed",
        {"attribute": "email", "expected": "corp.example", "found": "another value"},
        ["ada@elsewhere.example"],
    ),
    "a value that is none": (
        {"required_attributes": ["title"]},
        {"title": ["N/A", "-"]},
        "login:profile-incomplete",
        {"title": "malformed"},
        ["title: N/A"],
    ),
    "a key that everybody gets": (
        {"external_id_attribute": "oid"},
        {"oid": ["undefined"]},
        "login:profile-incomplete",
        {"external_id": "malformed"},
        ["external_id: undefined"],
    ),
}


@pytest.mark.parametrize("what", LIMITS)
def test_a_first_login_is_refused_for(
    browser: Browser, connection: Connection, administrator: Client, what: str
) -> None:
    policy, said, reason, detail, brought = LIMITS[what]
    change(connection, **policy)
    people = Identity.objects.count()
    answer = browser.sign_in(attributes=MAIL | said)
    attempt = LoginAttempt.objects.get()
    assert answer.status_code == 403
    assert attempt.reference in answer.content.decode()
    assert Identity.objects.count() == people
    assert not Account.objects.exists()
    assert (attempt.reason, attempt.detail) == (reason, detail)
    record = AuditRecord.objects.get(pk=attempt.audit_id)
    for value in brought:
        # A person's value: neither in the log, nor in what is kept for good, nor before her own eyes.
        assert value not in str(attempt.detail)
        assert value not in str(record.changes)
        assert value not in answer.content.decode()
    page = administrator.get(f"/admin/saml_sp/loginattempt/{attempt.pk}/change/").content.decode()
    assert all(value in page for value in [*brought, detail.get("expected", "malformed")])


def test_what_came_instead_is_forgotten_with_the_attempt(browser: Browser, connection: Connection) -> None:
    change(connection, jit_attributes={"department": ["Sales"]})
    browser.sign_in(attributes=MAIL | {"department": ["Secret"]})
    assert nobody_came_in()
    at = now()
    assert retention.trim_found(at=at + timedelta(days=29)) == 0
    assert AuditValue.objects.filter(values__found=["Secret"]).exists()
    assert retention.trim_found(at=at + timedelta(days=31)) == 1
    assert AuditRecord.objects.filter(reason="login:attribute-not-allowed").exists()


def test_what_came_of_somebody_like_a_known_person_is_forgotten_too(browser: Browser) -> None:
    browser.sign_in(attributes=MAIL)
    second = make_connection(browser.connection.tenant, browser.idp, name="Second")
    change(second, jit_attributes={"department": ["Sales"]})
    Browser(connection=second, idp=browser.idp).sign_in(attributes=MAIL | {"department": ["Secret"]})
    beside = AuditValue.objects.filter(values__found=["Secret"])
    assert beside.get().identity_id == Identity.objects.get().pk
    assert retention.trim_found(at=now() + timedelta(days=31)) == 1
    assert not beside.exists()
    assert AuditValue.objects.filter(identity_id=Identity.objects.get().pk).exists(), "hers stays"


def test_the_administrator_reads_both_keys_of_somebody_whom_the_idp_names_anew(
    browser: Browser, connection: Connection, administrator: Client
) -> None:
    change(connection, external_id_attribute="oid")
    said = MAIL | {"oid": ["key-1"]}
    assert browser.sign_in(name_id="p-1", attributes=said).status_code == 302
    assert browser.sign_in(name_id="p-2", attributes=said).status_code == 403
    attempt = LoginAttempt.objects.get(reason="login:name-id-changed")
    assert "p-2" not in str(attempt.detail)
    page = administrator.get(f"/admin/saml_sp/loginattempt/{attempt.pk}/change/").content.decode()
    assert "NameID p-2 where p-1 was known" in page
    assert retention.trim_found(at=now() + timedelta(days=31)) == 1


def test_another_tenants_administrator_sees_no_attempt(browser: Browser, connection: Connection) -> None:
    change(connection, jit_attributes={"department": ["Sales"]})
    browser.sign_in(attributes=MAIL | {"department": ["Secret"]})
    stranger = Client()
    stranger.force_login(
        configuration.create_local_identity(
            login_name="eve",
            password="correct horse battery",
            tenant=house("globex").tenant,
            tenant_administrator=True,
            actor=OPERATOR,
            reason="As agreed",
        ),
        backend="provisioning.backends.HubBackend",
    )
    answer = stranger.get(f"/admin/saml_sp/loginattempt/{LoginAttempt.objects.get().pk}/change/")
    assert answer.status_code == 404


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"jit_groups": ["Staff"]}, "jit_groups"),
        ({"jit_attributes": ["department"]}, "jit_attributes"),
        ({"jit_attributes": {"department": "Sales"}}, "jit_attributes"),
        ({"jit_attributes": {"department": []}}, "jit_attributes"),
        ({"jit_attributes": {"department": [""]}}, "jit_attributes"),
        ({"jit_attributes": {"": ["x"]}}, "jit_attributes"),
    ],
    ids=str,
)
def test_limits_that_nobody_could_keep_are_refused(
    connection: Connection, changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(Invalid) as refusal:
        change(connection, **changes)
    assert refusal.value.field == field


@pytest.fixture
def careful(connection: Connection) -> Connection:
    change(connection, jit_approval=True)
    return connection


def test_an_account_that_needs_an_approval_opens_nothing(browser: Browser, careful: Connection) -> None:
    for _ in range(2):
        answer = browser.sign_in(attributes=MAIL)
        attempt = LoginAttempt.objects.order_by("-at")[0]
        assert (answer.status_code, attempt.reason) == (403, "login:approval-pending")
        page = answer.content.decode()
        assert "Your account waits for approval" in page
        assert attempt.reference in page
        assert browser.me().status_code == 401
    assert not Session.objects.exists()
    assert Identity.objects.count() == 1
    assert Finding.objects.get().kind == "account:approval-requested"


@pytest.mark.parametrize("answer", ["let-in", "keep-out"])
def test_an_administrator_decides_on_the_page_of_findings(
    browser: Browser, careful: Connection, administrator: Client, answer: str
) -> None:
    browser.sign_in(attributes=MAIL)
    finding = Finding.objects.get()
    address = f"/admin/provisioning/finding/{finding.pk}"
    assert "Let the person in" in administrator.get(f"{address}/change/").content.decode()
    administrator.post(f"{address}/decide/", {"remedy": answer, "reason": "asked her manager"})
    came = browser.sign_in(attributes=MAIL)
    if answer == "let-in":
        assert came.status_code == 302
        assert browser.me().json()["groups"] == []
        assert not Identity.objects.get(email="ada@corp.example").is_staff
    else:
        assert "Your account is disabled" in came.content.decode()
    finding.refresh_from_db()
    assert finding.status == ("approved" if answer == "let-in" else "rejected")


def test_lifting_the_hold_answers_the_request(
    browser: Browser, careful: Connection, administrator: Client
) -> None:
    browser.sign_in(attributes=MAIL)
    ada = Identity.objects.get(email="ada@corp.example")
    administrator.post(
        f"/admin/provisioning/identity/{ada.pk}/lift-hold/", {"kind": "approval", "reason": "known to us"}
    )
    assert Finding.objects.get().status == "approved"
    assert browser.sign_in(attributes=MAIL).status_code == 302


def test_scim_delivers_who_waits_and_she_goes_on_waiting(browser: Browser, careful: Connection) -> None:
    browser.sign_in(attributes=MAIL)
    careful.refresh_from_db()
    where = House(careful.tenant, careful, "")
    delivered = push(where, user("p-4711", "p-4711"))
    assert delivered.reason == "account:adopted"
    browser.sign_in(attributes=MAIL)
    assert LoginAttempt.objects.order_by("-at")[0].reason == "login:approval-pending"


class TestStopped:
    def test_no_login_makes_an_account_while_that_is_stopped(
        self, browser: Browser, connection: Connection
    ) -> None:
        switches.stop(connection=connection, switch=Switch.JIT_CREATE, reason="x", actor=OPERATOR)
        came = browser.sign_in(attributes=MAIL)
        assert came.status_code == 403
        assert "You have no account here yet" in came.content.decode()
        assert nobody_came_in()
        assert LoginAttempt.objects.get().reason == "login:creation-stopped"
        switches.resume(connection=connection, switch=Switch.JIT_CREATE, reason="x", actor=OPERATOR)
        assert browser.sign_in(attributes=MAIL).status_code == 302

    def test_who_has_an_account_comes_in_and_nothing_is_kept_while_that_is_stopped(
        self, browser: Browser, connection: Connection
    ) -> None:
        browser.sign_in(attributes=MAIL | {"givenName": ["Ada"]})
        before = Account.objects.values().get()
        switches.stop(connection=connection, switch=Switch.JIT_UPDATE, reason="x", actor=OPERATOR)
        assert browser.sign_in(attributes=MAIL | {"givenName": ["Eve"]}).status_code == 302
        after = Account.objects.values().get()
        assert after | {"last_login_at": None} == before | {"last_login_at": None}
        assert Identity.objects.get().given_name == "Ada"
