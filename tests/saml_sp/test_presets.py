"""Each product is recognised by what its first login shows, and never gets an e-mail attribute for a key."""

import pytest

from identity_hub.core.clock import now
from provisioning import attributes
from provisioning.attributes import names_an_email
from provisioning.models import Identity
from provisioning.presets import PRESETS, settings
from provisioning.services import configuration
from saml_sp.assertion import Assertion, Attribute
from saml_sp.mapping import Person, Rules, read_person
from saml_sp.models import LoginAttempt
from saml_sp.presets import evidence, proposal, recognise
from saml_sp.quality import quality_of
from tests.provisioning.cast import OPERATOR

from .parties import Browser
from .products import AD, CLAIMS, MAIL, MICROSOFT, SENT, WITHOUT_PRESET, Sent, asserted

EVERY = pytest.mark.parametrize("code", SENT, ids=[sent.product for sent in SENT.values()])


def test_every_product_has_an_example() -> None:
    assert set(SENT) == set(PRESETS)


@EVERY
def test_a_product_is_recognised_by_its_issuer(code: str) -> None:
    sent = SENT[code]
    preset = recognise(sent.assertion, sent.issuer)
    assert preset is not None
    assert preset.code == code
    assert "the issuer's address" in evidence(preset, sent.assertion, sent.issuer)


@EVERY
def test_a_product_behind_a_name_of_its_owners_is_recognised_by_where_it_signs_people_in(code: str) -> None:
    sent = SENT[code]
    preset = recognise(sent.assertion, "https://login.corp.example", sent.sign_on)
    assert preset is not None
    assert preset.code == code
    assert "the sign-on address" in evidence(
        preset, sent.assertion, "https://login.corp.example", sent.sign_on
    )


@pytest.mark.parametrize(
    ("code", "marks"),
    [
        (
            "entra-id",
            {
                f"the attribute {MICROSOFT}{name}"
                for name in ("tenantid", "objectidentifier", "identityprovider")
            },
        ),
        ("okta", {"the shape of the assertion's ID", "the attribute oktaId"}),
        ("adfs", {f"the attribute {CLAIMS}upn", f"the attribute {AD}primarysid"}),
        (
            "keycloak",
            {
                *("the shape of the assertion's ID", "the shape of the session index"),
                *("the attribute Role", "the attribute keycloakId"),
            },
        ),
        (
            "onelogin",
            {
                f"the attribute {name}"
                for name in ("User.email", "User.FirstName", "User.LastName", "PersonImmutableID")
            },
        ),
        ("simplesamlphp", {"the shape of the assertion's ID", "the shape of the session index"}),
        ("shibboleth", {f"the attribute urn:oid:1.3.6.1.4.1.5923.1.1.1.{number}" for number in (6, 9, 13)}),
    ],
)
def test_without_an_address_the_assertion_alone_may_do(code: str, marks: set[str]) -> None:
    sent = SENT[code]
    preset = recognise(sent.assertion, "https://login.corp.example")
    assert preset is not None
    assert preset.code == code
    assert set(evidence(preset, sent.assertion, "https://login.corp.example")) == marks


@pytest.mark.parametrize(
    "assertion",
    [
        pytest.param(asserted(), id="nothing but a NameID"),
        pytest.param(
            asserted(attributes=(Attribute(name="email", friendly_name="", values=(MAIL,)),)),
            id="plain names",
        ),
        pytest.param(
            asserted(attributes=(Attribute(name="Role", friendly_name="", values=("x",)),)), id="one mark"
        ),
        pytest.param(
            asserted(
                attributes=tuple(
                    Attribute(name=name, friendly_name="", values=("x",)) for name in ("oktaId", "keycloakId")
                )
            ),
            id="as many marks of one as of another",
        ),
    ],
)
def test_nothing_is_guessed(assertion: Assertion) -> None:
    assert recognise(assertion, "https://login.corp.example") is None


@pytest.mark.parametrize(
    "issuer",
    [
        "https://evil.example/?https://accounts.google.com/o/saml2?idpid=C1",
        "https://sts.windows.net.evil.example/4f9c0e4e-0b7c-4c3e-8f0a-1f6f5a2b7c11/",
        "http://www.okta.com.evil.example/exk1fcia6d6EMsf331d8",
    ],
)
def test_an_address_that_only_contains_a_products_is_none_of_it(issuer: str) -> None:
    assert recognise(asserted(), issuer) is None


@EVERY
def test_what_is_proposed_is_what_arrived(code: str) -> None:
    sent = SENT[code]
    assert proposal(PRESETS[code], sent.assertion) == {
        "preset": code,
        "attribute_map": sent.attribute_map,
        "user_name_attribute": sent.user_name_attribute,
        "external_id_attribute": sent.external_id_attribute,
    }


@EVERY
def test_by_the_proposal_the_person_is_read_without_a_fault(code: str) -> None:
    sent = SENT[code]
    changes = {
        name: value for name, value in proposal(PRESETS[code], sent.assertion).items() if name != "preset"
    }
    person = read_person(sent.assertion, Rules(**changes)).outcome
    assert isinstance(person, Person)
    assert (person.profile.given_name, person.profile.family_name, person.emails) == (
        *sent.names,
        (MAIL,),
    )
    assert person.user_name == sent.user_name
    assert bool(person.external_id) == bool(sent.external_id_attribute)
    assert not person.faults


@pytest.mark.parametrize("sent", WITHOUT_PRESET.values(), ids=lambda sent: sent.product)
def test_a_product_without_a_preset_is_read_as_it_is(sent: Sent) -> None:
    assert recognise(sent.assertion, sent.issuer, sent.sign_on) is None
    nothing = Rules(attribute_map={}, user_name_attribute="", external_id_attribute="")
    person = read_person(sent.assertion, nothing).outcome
    assert isinstance(person, Person)
    assert (person.user_name, person.emails) == (sent.user_name, (MAIL,))
    assert (person.profile.given_name, person.profile.family_name) == sent.names
    assert not person.faults


@EVERY
def test_no_preset_names_an_email_attribute_for_a_key(code: str) -> None:
    preset = PRESETS[code]
    emails = {"email": list(preset.attribute_map["email"])}
    assert not [name for name in (*preset.user_names, *preset.keys) if names_an_email(name, emails)]
    attributes.checked_map(settings(code)["attribute_map"])


def test_a_key_that_holds_an_address_is_not_proposed() -> None:
    """OneLogin's PersonImmutableID holds whatever somebody chose for it, which may be the e-mail."""
    sent = SENT["onelogin"]
    assert ("PersonImmutableID", "", MAIL) in sent.attributes
    assert proposal(PRESETS["onelogin"], sent.assertion)["external_id_attribute"] == ""


@EVERY
def test_a_new_connection_is_set_only_to_what_the_product_sends_unasked(code: str) -> None:
    chosen = settings(code)
    assert bool(chosen["external_id_attribute"]) == (code in ("entra-id", "authentik"))
    assert settings("unknown") == {}


@EVERY
def test_people_of_each_product_sign_in_by_what_was_proposed(browser: Browser, code: str) -> None:
    sent = SENT[code]
    configuration.change_connection(
        connection=browser.connection,
        changes=proposal(PRESETS[code], sent.assertion),
        actor=OPERATOR,
        reason="As agreed",
    )
    for _ in range(2):
        answer = browser.sign_in(
            name_id=sent.name_id[1],
            name_id_format=sent.name_id[0],
            attributes={name: [value] for name, _, value in sent.attributes},
            attribute_format=sent.attribute_format,
            session_index=sent.session_index,
        )
        assert answer.status_code == 302, LoginAttempt.objects.values_list("reason", "detail")
    identity = Identity.objects.get()
    assert (identity.email, identity.given_name, identity.family_name) == (MAIL, *sent.names)
    assert identity.user_name == sent.user_name
    assert quality_of(browser.connection, now()).score == 100
