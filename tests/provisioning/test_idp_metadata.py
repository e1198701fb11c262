"""Which metadata documents describe an identity provider that can be used."""

from datetime import timedelta

import pytest

from identity_hub.core.clock import now
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


every_endpoint = pytest.mark.parametrize(
    "endpoint",
    [
        '<md:SingleSignOnService Binding="{binding}" Location="{address}"/>',
        '<md:SingleLogoutService Binding="{binding}" Location="{address}"/>',
        '<md:SingleLogoutService Binding="{binding}" Location="https://x" ResponseLocation="{address}"/>',
        '<md:SingleLogoutService Binding="urn:oasis:names:tc:SAML:2.0:bindings:SOAP" Location="{address}"/>',
    ],
    ids=["sign-on", "logout", "logout answer", "logout between programs"],
)


@pytest.mark.parametrize("address", ["javascript:alert(1)", "data:text/html,x", "//idp.example", "/sso", ""])
@every_endpoint
def test_nobody_is_sent_to_an_address_that_is_no_web_address(endpoint: str, address: str) -> None:
    with pytest.raises(Unusable, match="https://"):
        entity_id(document(endpoint.format(binding=BINDING, address=address)))


@pytest.mark.parametrize(
    "address",
    [
        pytest.param("https://", id="nothing behind the scheme"),
        pytest.param("HTTP:///sso", id="a path alone"),
        pytest.param("https://?idpid=1", id="a query alone"),
        pytest.param("https://:443/sso", id="a port without a host"),
        pytest.param("https://./sso", id="a dot for a host"),
        pytest.param("https://ada@idp.example/sso", id="a user name"),
        pytest.param("https://ada:secret@idp.example/sso", id="a user name and a password"),
        pytest.param(r"https://idp.example\@evil.example/sso", id="a host that depends on the reader"),
        pytest.param("https://idp.example:99999/sso", id="a port that is too high"),
        pytest.param("https://idp.example:0/sso", id="port 0"),
        pytest.param("https://idp.example:https/sso", id="a port in letters"),
        pytest.param("https://idp.example:443:443/sso", id="two ports"),
        pytest.param("https://[::1/sso", id="a bracket that stays open"),
        pytest.param("https://[idp.example]/sso", id="a name in brackets"),
        pytest.param("https://idp example/sso", id="a space in the host"),
        pytest.param("https://idp.example/s so", id="a space in the path"),
        pytest.param("https://idp.example/sso ", id="a space at the end"),
        pytest.param("https://idp.example/s&#9;so", id="a tab"),
        pytest.param("https://idp.example/s&#10;so", id="a line end"),
        pytest.param("https://idp.example/s&#127;so", id="a control character"),
        pytest.param("https://idp.example&#8203;/sso", id="a space without a width"),
        pytest.param("https://idp&#8448;.example/sso", id="a letter that becomes a/c"),
        pytest.param("https://b&#252;cher.example/sso", id="a host that is not in its xn-- form"),
        pytest.param("https://idp.example&#65294;evil.example/sso", id="a full-width dot"),
        pytest.param("https://idp.example&lt;/sso", id="a mark that is in no host"),
        pytest.param("https://idp..example/sso", id="nothing between two dots"),
        pytest.param("https://.idp.example/sso", id="a dot before it"),
        pytest.param("https://idp.example../sso", id="two dots after it"),
        pytest.param("https://idp.example-/sso", id="a hyphen at the end"),
        pytest.param("https://idp.-example/sso", id="a hyphen at the beginning of a label"),
        pytest.param("https://xn--/sso", id="the beginning of an xn-- form"),
        pytest.param("https://_/sso", id="an underscore alone"),
        pytest.param(f"https://{'a' * 64}.example/sso", id="a label of 64 letters"),
        pytest.param(f"https://{'.'.join(['abc'] * 64)}/sso", id="a name of 255 letters"),
        pytest.param("https://256.1.1.1/sso", id="an address that is none"),
        pytest.param("https://192.0.2/sso", id="three numbers"),
        pytest.param("https://idp.example.1/sso", id="a name that ends in a number"),
        pytest.param("https://0x7f.1/sso", id="an address in another notation"),
        pytest.param("https://192.0.2.0x1/sso", id="an address with a part in sixteens"),
        pytest.param("https://[2001:db8::1::2]/sso", id="an address in brackets that is none"),
    ],
)
@every_endpoint
def test_nobody_is_sent_to_an_address_that_leads_nowhere(endpoint: str, address: str) -> None:
    with pytest.raises(Unusable, match="no browser can be sent to"):
        entity_id(document(endpoint.format(binding=BINDING, address=address)))


@pytest.mark.parametrize(
    "address",
    [
        "https://idp.example",
        "http://localhost:8080/realms/corp/protocol/saml",
        "https://IDP.example:/sso",
        "https://idp_1.corp/sso",
        "https://idp.example./sso",
        "https://xn--bcher-kva.example/s%20so?idpid=C01&amp;x=@b:c",
        "https://192.0.2.1:65535/sso",
        "https://0.0.0.0/sso",
        "https://1st.example2/sso",
        "https://_idp._corp.example/sso",
        f"https://{'a' * 63}.example/sso",
        "https://[2001:db8::1]:8443/sso",
    ],
)
@every_endpoint
def test_a_web_address_is_taken(endpoint: str, address: str) -> None:
    assert entity_id(document(endpoint.format(binding=BINDING, address=address)))


WHOLE = TestIdp(entity_id="https://idp.example", keys=key_pair("corp")).metadata()


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        pytest.param("SAML:2.0:protocol", "SAML:1.1:protocol", "speaks SAML 2.0", id="an older SAML"),
        pytest.param(
            ' protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"',
            "",
            "speaks SAML 2.0",
            id="no protocol",
        ),
        pytest.param(
            '<md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"',
            '<md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:SOAP"',
            "by redirect or by POST",
            id="an address for programs only",
        ),
        pytest.param("SingleSignOnService", "ManageNameIDService", "by redirect or by POST", id="no address"),
        pytest.param(
            '<md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"',
            "<md:SingleSignOnService",
            "without a Binding",
            id="no binding",
        ),
        pytest.param(
            '<md:SingleLogoutService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"',
            '<md:SingleLogoutService Binding=" "',
            "without a Binding",
            id="an empty binding to sign out by",
        ),
        pytest.param(' Location="https://idp.example/slo"', "", "without an address", id="a binding alone"),
    ],
)
def test_what_no_login_or_logout_could_begin_with_is_unusable(old: str, new: str, sentence: str) -> None:
    require_usable(describe(WHOLE), now())
    assert old in WHOLE
    with pytest.raises(Unusable, match=sentence):
        require_usable(describe(WHOLE.replace(old, new)), now())


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
