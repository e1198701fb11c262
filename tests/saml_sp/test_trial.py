"""A test login shows what arrives, what every check says and what would happen. It signs nobody in."""

import json
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from io import StringIO
from typing import Any
from urllib.parse import quote_plus

import pytest
import time_machine
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError
from django.http import HttpResponse
from django.test import Client

from identity_hub.core.clock import now
from provisioning.decision.readiness import Item, State
from provisioning.models import AuditRecord, Connection, Identity, Proof, Session, Tenant
from provisioning.selectors.readiness import MAPPING_FIELDS, readiness
from provisioning.services import configuration, setup
from saml_sp import trial
from saml_sp.checks import ENVELOPE, RULES
from saml_sp.management.commands.test_login import Command
from saml_sp.mapping import Rules
from saml_sp.models import ConsumedAssertion, LoginAttempt, PendingRequest, TestLogin
from saml_sp.rehearsal import TITLES
from saml_sp.tasks import trim
from tests.provisioning.cast import OPERATOR

from .idp import (
    SAML,
    TRANSIENT,
    Facts,
    TestIdp,
    assertion_xml,
    deflate,
    encode,
    encrypt,
    read_request,
    response_xml,
    sign,
)
from .parties import Browser, certificate_of, make_connection, make_tenant
from .products import SENT

PASSWORD = "a long enough password"


@dataclass
class Test:
    """An administrator's test of a draft, in his browser."""

    __test__ = False

    connection: Connection
    idp: TestIdp
    client: Client

    def begin(self) -> Facts:
        to_idp = self.client.post(f"/admin/provisioning/connection/{self.connection.pk}/test-login/")
        assert to_idp.status_code == 302, to_idp.content
        return self.idp.facts(read_request(to_idp["Location"]), now())

    def answer(self, xml: str) -> HttpResponse:
        return self.client.post(f"/saml/{self.connection.pk}/acs", {"SAMLResponse": encode(xml)})

    def run(self, **changes: Any) -> TestLogin:
        answered = self.answer(self.idp.signed_assertion(self.begin().but(**changes)))
        assert answered.status_code == 302, answered.content
        return TestLogin.objects.get()


@pytest.fixture
def administrator(tenant: Tenant) -> Identity:
    return configuration.create_local_identity(
        login_name="boss",
        password=PASSWORD,
        tenant=tenant,
        tenant_administrator=True,
        actor=OPERATOR,
        reason="As agreed",
    )


@pytest.fixture
def test(tenant: Tenant, idp: TestIdp, administrator: Identity) -> Test:
    draft = make_connection(tenant, idp, name="Draft", status="draft")
    client = Client()
    assert client.login(username="boss", password=PASSWORD)
    return Test(draft, idp, client)


def states(row: TestLogin) -> dict[str, str]:
    return {check["code"]: check["state"] for check in row.report["checks"]}


def test_a_good_answer_passes_every_check_and_writes_nothing_about_the_person(test: Test) -> None:
    row = test.run()
    assert row.passed is True
    assert set(states(row).values()) == {"passed"}
    assert set(states(row)) == set(TITLES)
    assert {line["attribute"]: line["value"] for line in row.report["mapped"]}["email"] == "ada@corp.example"
    assert row.report["decision"]["reason"] == "login:account-created"
    assert row.report["decision"]["admitted"] is True
    assert not Identity.objects.exclude(login_name="boss").exists()
    assert Session.objects.count() == 1  # the administrator's own
    for table in (PendingRequest, ConsumedAssertion, LoginAttempt):
        assert not table.objects.exists()
    record = AuditRecord.objects.get(reason="connection:tested")
    assert (record.connection_id, record.actor_id) == (test.connection.pk, str(Identity.objects.get().pk))


@pytest.mark.parametrize(
    ("policy", "reason", "would"),
    [
        ({}, "login:account-created", "Of 2 groups in memberOf, 1 would be kept: Staff."),
        ({"jit_approval": True}, "login:approval-pending", "The person would be held."),
        (
            {"jit_groups": ["Board"]},
            "login:group-not-allowed",
            "Of 2 groups in memberOf, 1 would be kept: Staff.",
        ),
    ],
    ids=["anybody may come", "an approval is needed", "another group is needed"],
)
def test_the_report_says_what_a_first_login_would_come_to_where(
    test: Test, policy: dict[str, Any], reason: str, would: str
) -> None:
    configuration.change_connection(
        connection=test.connection,
        changes={"group_attribute": "memberOf"} | policy,
        actor=OPERATOR,
        reason="As agreed",
    )
    configuration.allow_group(
        connection=test.connection,
        value="Staff",
        entitlement=configuration.create_entitlement(
            tenant=test.connection.tenant, name="Reader", actor=OPERATOR, reason="As agreed"
        ),
        actor=OPERATOR,
        reason="As agreed",
    )
    said = {"email": ["ada@corp.example"], "memberOf": ["Staff", "Works council"]}
    decided = test.run(attributes=said).report["decision"]
    assert decided["reason"] == reason
    assert would in decided["changes"]
    assert decided["admitted"] is (reason == "login:account-created")


def test_every_check_has_a_title() -> None:
    assert {rule.__name__ for rule in (*ENVELOPE, *RULES)} | {
        "message",
        "signature",
        "schema",
        "person",
    } == set(TITLES)


def test_the_report_names_every_check_that_failed_and_what_was_expected_and_found(test: Test) -> None:
    facts = test.begin()
    answered = test.answer(
        test.idp.signed_assertion(
            facts.but(audience="https://other.example", recipient="https://other.example/acs")
        )
    )
    row = TestLogin.objects.get()
    assert row.passed is False
    failed = {check["code"]: check for check in row.report["checks"] if check["state"] == "failed"}
    assert set(failed) >= {"audience", "bearer_confirmation"}
    assert failed["audience"]["reason"] == "saml:audience-foreign"
    assert failed["audience"]["detail"]["found"] == "https://other.example"
    page = test.client.get(answered["Location"]).content.decode()
    assert "It is meant for this hub" in page
    assert "https://other.example/acs" in page
    assert "saml:audience-foreign" in page


@pytest.mark.parametrize(
    "said",
    [
        {"issuer": "https://other.example", "response_issuer": "https://idp.example/metadata"},
        {"audience": "https://other.example"},
        {"recipient": "https://other.example/acs"},
        {"confirmation_in_response_to": "_other"},
    ],
    ids=["another issuer", "another audience", "another recipient", "another request"],
)
def test_nothing_is_shown_of_an_assertion_that_was_made_for(test: Test, said: dict[str, Any]) -> None:
    facts = test.begin().but(**said)
    answered = test.answer(test.idp.signed_response(facts))
    row = TestLogin.objects.get()
    assert "failed" in states(row).values()
    assert (row.passed, states(row)["person"]) == (False, "not-reached")
    assert not any(
        row.report[part] for part in ("arrived", "mapped", "decision", "preset", "verdicts", "key")
    )
    kept = json.dumps(row.report)
    assert "ada@corp.example" not in kept
    assert facts.name_id not in kept
    assert "not made for this connection" in test.client.get(answered["Location"]).content.decode()


def test_nothing_that_was_encrypted_for_another_tenant_is_read_to_whoever_signs_around_it(
    test: Test,
) -> None:
    """Attack: found in a browser's history, put into an assertion that is in order but for this."""
    idp = TestIdp(entity_id="https://victim.example", keys=test.idp.keys)
    victim = make_connection(make_tenant("victim", "victim.example"), idp)
    secret = (
        f'<saml:Attribute xmlns:saml="{SAML}" Name="title"><saml:AttributeValue>Confidential</saml:AttributeValue>'
        "</saml:Attribute>"
    )
    hidden = encrypt(secret, certificate_of(victim), wrapper="EncryptedAttribute")
    facts = test.begin()
    there = "</saml:AttributeStatement>"
    assertion = assertion_xml(facts).replace(there, hidden + there)
    answered = test.answer(response_xml(facts, sign(assertion, test.idp.keys, id=facts.assertion_id)))
    row = TestLogin.objects.get()
    assert (states(row)["signature"], row.report["arrived"]) == ("failed", {})
    page = test.client.get(answered["Location"]).content.decode()
    assert "saml:decryption-failed" in page
    assert "Confidential" not in page


def test_the_report_names_both_values_where_the_assertion_contradicts_itself(test: Test) -> None:
    row = test.run(attributes={"email": ["ada@corp.example"], "mail": ["boss@corp.example"]})
    page = test.client.get(trial.result_of(row)).content.decode()
    assert "<dd>email: ada@corp.example, mail: boss@corp.example</dd>" in page


def test_a_bad_signature_leaves_the_rest_unjudged(test: Test) -> None:
    facts = test.begin()
    test.answer(test.idp.signed_assertion(facts).replace("p-4711", "administrator"))
    row = TestLogin.objects.get()
    assert (states(row)["signature"], states(row)["audience"]) == ("failed", "not-reached")
    assert row.report["arrived"] == {}


def test_what_is_no_message_is_no_answer_to_the_test(test: Test) -> None:
    test.begin()
    answered = test.answer("<not xml")
    assert answered.status_code == 403  # a draft
    assert TestLogin.objects.get().finished_at is None


def test_the_answer_to_a_test_signs_nobody_in_at_an_active_connection_either(
    test: Test, browser: Browser
) -> None:
    test.connection = browser.connection
    facts = test.begin()
    del test.client.cookies[trial.COOKIE]
    answered = test.answer(test.idp.signed_assertion(facts))
    assert answered.status_code == 403
    assert LoginAttempt.objects.get().reason == "saml:request-unknown"
    assert not Identity.objects.exclude(login_name="boss").exists()


def test_a_login_in_the_browser_of_a_test_is_still_a_login(test: Test, browser: Browser) -> None:
    test.connection = browser.connection
    test.begin()
    browser.client = test.client
    assert browser.sign_in()["Location"] == "/me/"
    assert TestLogin.objects.get().finished_at is None


def test_a_draft_admits_nobody_by_any_other_answer(test: Test, idp: TestIdp) -> None:
    facts = test.begin()
    test.answer(idp.signed_assertion(facts))
    other = replace(facts, in_response_to="_another", confirmation_in_response_to="_another")
    answered = test.answer(idp.signed_assertion(other))
    assert answered.status_code == 403
    assert not Identity.objects.exclude(login_name="boss").exists()


def test_the_second_half_of_a_double_click_ends_at_the_same_report(test: Test) -> None:
    message = test.idp.signed_assertion(test.begin())
    first, second = test.answer(message), test.answer(message)
    assert first["Location"] == second["Location"]
    assert AuditRecord.objects.filter(reason="connection:tested").count() == 1


def test_a_passed_test_meets_the_mapping_and_the_key(test: Test) -> None:
    test.run()
    met = {one.item for one in readiness(test.connection, now()) if one.state is State.MET}
    assert met >= {Item.CERTIFICATE, Item.DOMAINS, Item.MAPPING, Item.KEY}


CHANGED: dict[str, Any] = {
    "idp_entity_id": "https://other.example",
    "attribute_map": {"email": ["work_mail"]},
    "attribute_rules": {"user_name": {"case": "lower"}},
    "user_name_attribute": "uid",
    "external_id_attribute": "oid",
    "group_attribute": "memberOf",
    "required_attributes": ["given_name"],
    "jit_attributes": {"department": ["Sales"]},
    "name_id_format": TRANSIENT,
    "authn_contexts": ["https://refeds.org/profile/mfa"],
    "force_authn": True,
}


def test_everything_that_a_test_judges_by_is_known() -> None:
    assert set(CHANGED) == set(MAPPING_FIELDS)
    # What a reading is told of the connection; `limits` are the names in `jit_attributes`, `required` the attributes.
    told = {one.name for one in fields(Rules)}
    assert told - {"limits", "required"} <= set(MAPPING_FIELDS)


@pytest.mark.parametrize("name", CHANGED)
def test_a_test_has_to_be_repeated_after_a_change_of(test: Test, name: str) -> None:
    test.run()
    Connection.objects.filter(pk=test.connection.pk).update(**{name: CHANGED[name]})
    test.connection.refresh_from_db()
    judged = {one.item: one for one in readiness(test.connection, now())}[Item.MAPPING]
    assert (judged.state, "test it again" in judged.sentence) == (State.MISSING, True)


def test_a_transient_name_is_no_key(test: Test) -> None:
    row = test.run(name_id_format=TRANSIENT)
    assert row.report["decision"]["reason"] == "login:subject-transient"
    assert row.report["decision"]["admitted"] is False
    assert {one.item: one.state for one in readiness(test.connection, now())}[Item.KEY] is State.MISSING


def test_of_two_that_begin_in_two_tabs_the_first_says_that_it_is_over(test: Test) -> None:
    first, second = test.begin(), test.begin()
    page = test.answer(test.idp.signed_assertion(first))
    assert (page.status_code, b"This test is over" in page.content) == (403, True)
    assert test.answer(test.idp.signed_assertion(second)).status_code == 302


def test_of_two_at_an_active_connection_the_first_says_so_too(test: Test, browser: Browser) -> None:
    test.connection = browser.connection
    first, second = test.begin(), test.begin()
    page = test.answer(test.idp.signed_assertion(first))
    assert (page.status_code, b"This test is over" in page.content) == (403, True)
    assert LoginAttempt.objects.get().reference in page.content.decode()
    assert test.answer(test.idp.signed_assertion(second)).status_code == 302


@pytest.mark.parametrize("name", ["null", "0", "${user.objectid}"])
def test_a_placeholder_is_no_key(test: Test, name: str) -> None:
    test.run(name_id=name)
    assert {one.item: one.state for one in readiness(test.connection, now())}[Item.KEY] is State.MISSING


def test_proofs_hold_no_value_of_the_person(test: Test) -> None:
    test.run()
    kept = str(list(Proof.objects.values())) + str(list(AuditRecord.objects.values()))
    assert "ada@" not in kept
    assert "Lovelace" not in kept


def test_the_report_is_gone_after_an_hour(test: Test) -> None:
    row = test.run()
    page = f"/admin/saml_sp/testlogin/{row.pk}/change/"
    assert test.client.get(page).status_code == 200
    with time_machine.travel(now() + timedelta(minutes=61), tick=False):
        # Whether or not anybody has trimmed it.
        assert test.client.get(page).status_code == 404
        connection = test.client.get(f"/admin/provisioning/connection/{test.connection.pk}/change/")
        assert str(row.pk) not in connection.content.decode()
        assert trim()["tests"] == 1
    assert not TestLogin.objects.exists()
    assert Proof.objects.filter(item="mapping").exists()


def test_another_tenants_administrator_neither_begins_nor_reads_a_test(test: Test) -> None:
    row = test.run()
    other = make_tenant("other", "other.example")
    configuration.create_local_identity(
        login_name="spy",
        password=PASSWORD,
        tenant=other,
        tenant_administrator=True,
        actor=OPERATOR,
        reason="As agreed",
    )
    spy = Client()
    assert spy.login(username="spy", password=PASSWORD)
    assert spy.post(f"/admin/provisioning/connection/{test.connection.pk}/test-login/").status_code == 404
    for page in ("change", "apply", "sign-out"):
        assert spy.get(f"/admin/saml_sp/testlogin/{row.pk}/{page}/").status_code == 404, page


def test_the_address_of_a_test_is_good_for_an_hour_and_until_it_is_answered(test: Test) -> None:
    _, token = trial.open_trial(test.connection, actor=OPERATOR)
    address = trial.address_of(test.connection, token)
    assert test.client.get(address).status_code == 200
    assert test.client.post(address).status_code == 302
    assert test.client.post(address).status_code == 302  # the back button
    with time_machine.travel(now() + timedelta(minutes=61), tick=False):
        assert test.client.get(address).status_code == 403
        assert test.client.post(address).status_code == 403
    assert test.client.get(address[:-3] + "xyz").status_code == 403
    facts = test.idp.facts(read_request(test.client.post(address)["Location"]), now())
    ended = test.answer(test.idp.signed_assertion(facts))
    assert test.client.get(address).status_code == 403
    assert "The test is finished" in test.client.get(ended["Location"]).content.decode()


def test_a_program_that_looks_at_the_address_takes_the_test_from_nobody(test: Test) -> None:
    _, token = trial.open_trial(test.connection, actor=OPERATOR)
    address = trial.address_of(test.connection, token)
    facts = test.idp.facts(read_request(test.client.post(address)["Location"]), now())
    assert Client().get(address).status_code == 200
    assert test.answer(test.idp.signed_assertion(facts)).status_code == 302
    assert TestLogin.objects.get().passed is True


@pytest.mark.parametrize("status", ["frozen", "disabled"])
def test_a_connection_that_is_out_of_use_is_not_tried(test: Test, status: str) -> None:
    Connection.objects.filter(pk=test.connection.pk).update(status=status)
    test.connection.refresh_from_db()
    _, token = trial.open_trial(test.connection, actor=OPERATOR)
    assert test.client.post(trial.address_of(test.connection, token)).status_code == 403
    asked = test.client.post(f"/admin/provisioning/connection/{test.connection.pk}/test-login/")
    assert "Only a draft or an active connection" in asked.content.decode()


def test_what_one_idp_has_shown_says_nothing_of_the_next(test: Test) -> None:
    test.run()
    setup.prove(connection=test.connection, item=Item.SIGN_OUT, actor=OPERATOR)
    shown = {Item.MAPPING, Item.KEY, Item.SIGN_OUT}
    met = {one.item for one in readiness(test.connection, now()) if one.state is State.MET}
    assert met >= shown
    other = replace(test.idp, entity_id="https://another.example")
    configuration.change_connection(
        connection=test.connection,
        changes={"idp_metadata": other.metadata()},
        actor=OPERATOR,
        reason="As agreed",
    )
    test.connection.refresh_from_db()
    missing = {one.item for one in readiness(test.connection, now()) if one.state is State.MISSING}
    assert missing >= shown


def test_an_administrator_takes_over_what_the_product_proposes(test: Test) -> None:
    entra = "https://sts.windows.net/11111111-2222-3333-4444-555555555555/"
    test.idp = replace(test.idp, entity_id=entra)
    configuration.change_connection(
        connection=test.connection,
        changes={"idp_metadata": test.idp.metadata()},
        actor=OPERATOR,
        reason="As agreed",
    )
    claims = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/"
    row = test.run(
        attributes={
            f"{claims}emailaddress": ["ada@corp.example"],
            f"{claims}name": ["ada.upn@corp.example"],
            "http://schemas.microsoft.com/identity/claims/objectidentifier": [
                "8d2b3f00-0000-4000-8000-000000000001"
            ],
        }
    )
    assert row.report["preset"]["code"] == "entra-id"
    page = f"/admin/saml_sp/testlogin/{row.pk}"
    assert "Microsoft Entra ID" in test.client.get(f"{page}/change/").content.decode()
    assert test.client.post(f"{page}/apply/", {"reason": "It is Okta"}).status_code == 302
    test.connection.refresh_from_db()
    assert test.connection.preset == "entra-id"
    assert test.connection.external_id_attribute.endswith("/objectidentifier")


@pytest.mark.parametrize("code", SENT)
def test_the_first_test_login_finds_the_product_and_the_second_finds_nothing_to_change(
    test: Test, code: str
) -> None:
    sent = SENT[code]
    test.idp = replace(test.idp, entity_id=sent.issuer, sso=sent.sign_on)
    configuration.change_connection(
        connection=test.connection,
        changes={"idp_metadata": test.idp.metadata()},
        actor=OPERATOR,
        reason="As agreed",
    )
    reports = []
    for _ in range(2):
        row = test.run(
            name_id=sent.name_id[1],
            name_id_format=sent.name_id[0],
            attributes={name: [value] for name, _, value in sent.attributes},
            attribute_format=sent.attribute_format,
            session_index=sent.session_index,
        )
        reports.append(row.report)
        if row.report["preset"]["changes"]:
            trial.take_over(row, actor=OPERATOR, reason="As proposed")
        row.delete()
    assert [report["preset"]["code"] for report in reports] == [code] * 2
    assert reports[0]["preset"]["changes"]["preset"] == code
    assert reports[1]["preset"]["changes"] == {}
    assert {check["state"] for check in reports[1]["checks"]} == {"passed"}
    assert reports[1]["decision"]["reason"] == "login:account-created"


def test_what_was_chosen_is_not_emptied_by_a_proposal(test: Test) -> None:
    test.idp = replace(test.idp, entity_id="http://www.okta.com/exk1fcia6d6EMsf331d8")
    configuration.change_connection(
        connection=test.connection,
        changes={"idp_metadata": test.idp.metadata(), "external_id_attribute": "staffId"},
        actor=OPERATOR,
        reason="As agreed",
    )
    row = test.run(attributes={"email": ["ada@corp.example"], "staffId": ["s-1"]})
    assert row.report["preset"]["changes"] == {"preset": "okta", "attribute_map": {"email": ["email"]}}


class TestSignOut:
    """The answer of the IdP proves it, when it is signed, ours and says that it did."""

    def asked(self, test: Test) -> str:
        row = test.run(session_index="s-1")
        asked = test.client.post(f"/admin/saml_sp/testlogin/{row.pk}/sign-out/")
        assert asked.status_code == 302, asked.content
        return TestLogin.objects.get().sign_out_request_id

    def proven(self, test: Test) -> bool:
        return Proof.objects.filter(connection=test.connection, item="sign-out").exists()

    def answer(self, test: Test, **said: str) -> str:
        here = f"{settings.HUB_PUBLIC_URL}/saml/{test.connection.pk}/logout"
        return test.idp.logout_response(destination=here, at=now(), **said)

    def deliver(self, test: Test, xml: str, *, signed: bool = True) -> HttpResponse:
        query = (
            test.idp.signed_query(xml, field="SAMLResponse")
            if signed
            else f"SAMLResponse={quote_plus(deflate(xml))}"
        )
        return test.client.get(f"/saml/{test.connection.pk}/logout?{query}")

    def test_a_signed_success_proves_it(self, test: Test) -> None:
        request_id = self.asked(test)
        ended = self.deliver(test, self.answer(test, in_response_to=request_id))
        assert ended["Location"] == f"/admin/saml_sp/testlogin/{TestLogin.objects.get().pk}/change/"
        assert TestLogin.objects.get().sign_out == {"reason": "", "detail": {}}
        assert self.proven(test)

    @pytest.mark.parametrize(
        ("changes", "signed", "reason"),
        [
            pytest.param({}, False, "saml:unsigned", id="nobody signed it"),
            pytest.param({"issuer": "https://x"}, True, "saml:issuer-foreign", id="another IdP answers"),
            pytest.param(
                {"status": "urn:oasis:names:tc:SAML:2.0:status:Responder"},
                True,
                "saml:idp-refused",
                id="the IdP says that it did not",
            ),
        ],
    )
    def test_anything_else_proves_nothing_and_says_why(
        self, test: Test, changes: dict[str, str], signed: bool, reason: str
    ) -> None:
        said = {"in_response_to": self.asked(test)} | changes
        self.deliver(test, self.answer(test, **said), signed=signed)
        assert TestLogin.objects.get().sign_out["reason"] == reason
        assert not self.proven(test)

    @pytest.mark.parametrize(
        "garbage",
        [
            pytest.param(lambda test, xml: "SAMLResponse=AAAA", id="nothing that can be read"),
            pytest.param(
                lambda test, xml: f"SAMLResponse={quote_plus(deflate(xml))}",
                id="unsigned, to another request",
            ),
            pytest.param(
                lambda test, xml: test.idp.signed_query(xml, field="SAMLResponse"),
                id="signed, to another request",
            ),
        ],
    )
    def test_what_answers_another_request_is_passed_over(self, test: Test, garbage: Any) -> None:
        request_id = self.asked(test)
        other = garbage(test, self.answer(test, in_response_to="_x"))
        assert test.client.get(f"/saml/{test.connection.pk}/logout?{other}").status_code == 200
        assert TestLogin.objects.get().sign_out == {}
        self.deliver(test, self.answer(test, in_response_to=request_id))
        assert self.proven(test)

    def test_an_answer_after_the_metadata_ended_is_refused_calmly(self, test: Test) -> None:
        request_id = self.asked(test)
        Connection.objects.filter(pk=test.connection.pk).update(metadata_valid_until=now())
        refused = self.deliver(test, self.answer(test, in_response_to=request_id))
        assert refused.status_code == 403
        assert not self.proven(test)

    def test_an_idp_that_takes_no_sign_out_is_told_so(self, test: Test) -> None:
        test.idp = replace(test.idp, slo="")
        configuration.change_connection(
            connection=test.connection,
            changes={"idp_metadata": test.idp.metadata()},
            actor=OPERATOR,
            reason="As agreed",
        )
        row = test.run()
        answered = test.client.post(f"/admin/saml_sp/testlogin/{row.pk}/sign-out/")
        assert "names no SingleLogoutService" in answered.content.decode()


def test_an_operator_tries_a_login_by_command_and_reads_what_came_of_it(
    test: Test, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("test_login", "--connection", "Draft", "--json")
    address = json.loads(capsys.readouterr().out)["address"].removeprefix(settings.HUB_PUBLIC_URL)
    facts = test.idp.facts(read_request(test.client.post(address)["Location"]), now())
    test.answer(test.idp.signed_assertion(facts.but(audience="https://other.example")))
    row = TestLogin.objects.get()
    told = "\n".join(Command().show({"finished": True, "passed": row.passed, **row.report}))
    assert "A check failed." in told
    assert "saml:audience-foreign" in told
    assert "ada@corp.example" not in told
    assert (row.started_by.partition(":")[0], row.passed) == ("command", False)


def by_command(test: Test, *arguments: str, **changes: Any) -> dict[str, Any]:
    """What `test_login --wait` prints, while somebody opens its address in a browser of her own."""
    person, told = Client(), StringIO()

    class Screen(StringIO):
        def write(self, text: str) -> int:
            if text.startswith("Open "):
                address = text.strip().removeprefix(f"Open {settings.HUB_PUBLIC_URL}")
                facts = test.idp.facts(read_request(person.post(address)["Location"]), now())
                test.client = person
                test.answer(test.idp.signed_assertion(facts.but(**changes)))
            return super().write(text)

    call_command(
        "test_login",
        "--connection",
        "Draft",
        "--wait",
        "5",
        "--json",
        *arguments,
        stdout=told,
        stderr=Screen(),
    )
    answer: dict[str, Any] = json.loads(told.getvalue())
    return answer


OKTA = {
    "email": ["ada@corp.example"],
    "firstName": ["Ada"],
    "lastName": ["Lovelace"],
    "oktaId": ["00ub0oNGTSWTBKOLGLNR"],
}


@pytest.mark.parametrize("takes_over", [False, True], ids=["shows", "takes over"])
def test_an_operator_by_command_what_the_product_proposes(test: Test, takes_over: bool) -> None:
    test.idp = replace(test.idp, entity_id="http://www.okta.com/exk1fcia6d6EMsf331d8")
    configuration.change_connection(
        connection=test.connection,
        changes={"idp_metadata": test.idp.metadata()},
        actor=OPERATOR,
        reason="As agreed",
    )
    answer = by_command(
        test, *["--take-over", "--reason", "It is Okta"] if takes_over else [], attributes=OKTA
    )
    told = "\n".join(Command().show(answer))
    assert "Okta, by the issuer's address, the attribute oktaId" in told
    assert ("Try it once more." in told) == takes_over
    test.connection.refresh_from_db()
    assert (test.connection.preset, test.connection.external_id_attribute) == (
        ("okta", "oktaId") if takes_over else ("", "")
    )
    if takes_over:
        answer = by_command(test, attributes=OKTA)
        assert answer["preset"]["changes"] == {}
        assert "set up as the hub proposes" in "\n".join(Command().show(answer))


def test_nothing_is_taken_over_before_it_was_seen(test: Test) -> None:
    with pytest.raises(CommandError, match="--wait"):
        call_command("test_login", "--connection", "Draft", "--take-over")
    with pytest.raises(CommandError, match="--reason"):
        call_command("test_login", "--connection", "Draft", "--wait", "5", "--take-over")


def test_whoever_tried_a_login_for_an_operator_shows_that_sign_out_works_too(test: Test) -> None:
    by_command(test, session_index="s-1")
    page = f"/saml/{test.connection.pk}/tested"
    assert "Test sign-out" in test.client.get(page).content.decode()
    assert "Test sign-out" not in Client().get(page).content.decode()
    assert test.client.post(page)["Location"].startswith(test.idp.slo)
    here = f"/saml/{test.connection.pk}/logout"
    answer = test.idp.logout_response(
        destination=f"{settings.HUB_PUBLIC_URL}{here}",
        in_response_to=TestLogin.objects.get().sign_out_request_id,
        at=now(),
    )
    ended = test.client.get(f"{here}?{test.idp.signed_query(answer, field='SAMLResponse')}")
    assert ended["Location"] == page
    assert "has ended its session" in test.client.get(page).content.decode()
    shown = {one.item: one.state for one in readiness(test.connection, now())}
    assert shown[Item.SIGN_OUT] is State.MET


def test_the_command_refuses_a_connection_without_metadata(test: Test) -> None:
    make_connection(test.connection.tenant, None, name="Bare", status="draft")
    with pytest.raises(CommandError, match="no IdP metadata"):
        call_command("test_login", "--connection", "Bare")


def test_a_connection_without_metadata_cannot_be_tested(test: Test) -> None:
    bare = make_connection(test.connection.tenant, None, name="Bare", status="draft")
    answered = test.client.post(f"/admin/provisioning/connection/{bare.pk}/test-login/")
    assert "no IdP metadata that can be used yet" in answered.content.decode()
    _, token = trial.open_trial(bare, actor=OPERATOR)
    assert test.client.post(trial.address_of(bare, token)).status_code == 403
