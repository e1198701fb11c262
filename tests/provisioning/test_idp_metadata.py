"""Which metadata documents describe an identity provider that can be used."""

from datetime import timedelta

import pytest

from provisioning.idp_metadata import Unusable, describe, entity_id, require_usable
from tests.saml_sp.idp import TestIdp, key_pair

BINDING = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"


def document(endpoint: str) -> str:
    return (
        '<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID=" https://idp.example ">'
        f"<md:IDPSSODescriptor>{endpoint}</md:IDPSSODescriptor></md:EntityDescriptor>"
    )


def test_the_entity_id_is_read_from_the_document() -> None:
    endpoint = f'<md:SingleSignOnService Binding="{BINDING}" Location="HTTPS://idp.example/sso"/>'
    assert entity_id(document(endpoint)) == "https://idp.example"


@pytest.mark.parametrize("address", ["javascript:alert(1)", "data:text/html,x", "//idp.example", "/sso", ""])
@pytest.mark.parametrize(
    "endpoint",
    [
        '<md:SingleSignOnService Binding="{binding}" Location="{address}"/>',
        '<md:SingleLogoutService Binding="{binding}" Location="{address}"/>',
        '<md:SingleLogoutService Binding="{binding}" Location="https://x" ResponseLocation="{address}"/>',
    ],
    ids=["sign-on", "logout", "logout answer"],
)
def test_nobody_is_sent_to_an_address_that_is_no_web_address(endpoint: str, address: str) -> None:
    with pytest.raises(Unusable, match="https://"):
        entity_id(document(endpoint.format(binding=BINDING, address=address)))


def test_certificates_and_addresses_are_read_from_the_document() -> None:
    old, new = key_pair("old"), key_pair("new")
    idp = TestIdp(entity_id="https://idp.example", keys=new, more_certificates=(old, old))
    found = describe(idp.metadata())
    assert [certificate.subject for certificate in found.certificates] == ["CN=old", "CN=new"]
    assert (found.sign_in, found.sign_out) == ((idp.sso,), (idp.slo,))


@pytest.mark.parametrize(
    ("moved", "good"),
    [
        pytest.param(timedelta(seconds=-1), False, id="before it begins"),
        pytest.param(timedelta(), True, id="as it begins"),
    ],
)
def test_a_certificate_that_has_not_begun_is_no_good_one(moved: timedelta, good: bool) -> None:
    found = describe(TestIdp(entity_id="https://idp.example", keys=key_pair("old")).metadata())
    at = found.certificates[0].begins + moved
    assert bool(found.good_at(at)) is good
    # Published ahead of its day it may be imported all the same.
    require_usable(found, at)


def test_keys_that_are_for_encryption_or_cannot_be_read_sign_nothing() -> None:
    idp = TestIdp(entity_id="https://idp.example", keys=key_pair("old"))
    text = idp.keys.certificate_text
    for damaged in (
        idp.metadata().replace('use="signing"', 'use="encryption"'),
        idp.metadata().replace(text, "no base64!"),
        idp.metadata().replace(text, "AAAA"),
    ):
        assert describe(damaged).certificates == ()
