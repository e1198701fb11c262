"""Which metadata documents describe an identity provider that can be used."""

import pytest

from provisioning.idp_metadata import Unusable, entity_id

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
