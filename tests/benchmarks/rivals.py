"""The yardsticks of a login: how other libraries read one answer of an IdP. Knows no account and no database."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import saml2.sigver
from django.conf import settings
from onelogin.saml2.response import OneLogin_Saml2_Response
from onelogin.saml2.settings import OneLogin_Saml2_Settings
from saml2 import BINDING_HTTP_POST
from saml2.client import Saml2Client
from saml2.config import SPConfig
from saml2.xml.schema import validate as stock_schema_check

from provisioning import addresses
from provisioning.models import Connection
from saml_sp import encryption_keys
from tests.saml_sp.idp import TestIdp

quick_schema_check = saml2.sigver.validate_doc_with_schema

Read = Callable[[str, str], None]
"""(encoded Response, ID of the request that it answers); raises where the library does not believe it."""

acs, entity_id = addresses.saml_acs, addresses.saml_metadata


def python3_saml(connection: Connection, idp: TestIdp) -> Read:
    """OneLogin's library, strict: signature, schema, conditions and confirmation, then NameID and attributes.

    Its settings are made once, as a service that wants to be fast would; its own examples make them for each request.
    """
    made = OneLogin_Saml2_Settings(
        {
            "strict": True,
            "sp": {
                "entityId": entity_id(connection.id),
                "assertionConsumerService": {"url": acs(connection.id)},
                "x509cert": encryption_keys.published(connection).certificate,
                "privateKey": encryption_keys.private_keys(connection)[0].decode(),
            },
            "idp": {
                "entityId": idp.entity_id,
                "singleSignOnService": {"url": idp.sso},
                "x509cert": idp.keys.certificate.decode(),
            },
        }
    )
    scheme, _, rest = acs(connection.id).partition("://")
    host, _, path = rest.partition("/")
    asked = {"https": "on" if scheme == "https" else "off", "http_host": host, "script_name": f"/{path}"}

    def read(encoded: str, request_id: str) -> None:
        response = OneLogin_Saml2_Response(made, encoded)
        response.is_valid(asked, request_id, raise_exceptions=True)
        response.get_nameid_data()
        response.get_attributes()

    return read


def stock_pysaml2(connection: Connection, idp: TestIdp) -> Read | None:
    """pysaml2 as it is installed, with the program xmlsec1; None where there is no such program."""
    program = shutil.which("xmlsec1")
    if program is None:
        return None
    folder = Path(tempfile.mkdtemp())
    certificate = encryption_keys.published(connection).certificate
    (folder / "hub.crt").write_text(certificate)
    (folder / "hub.key").write_bytes(encryption_keys.private_keys(connection)[0])
    client = Saml2Client(
        config=SPConfig().load(
            {
                "entityid": entity_id(connection.id),
                "xmlsec_binary": program,
                "key_file": settings.SAML_SP_KEY_FILE,
                "cert_file": settings.SAML_SP_CERT_FILE,
                "encryption_keypairs": [
                    {"key_file": str(folder / "hub.key"), "cert_file": str(folder / "hub.crt")}
                ],
                "allow_unknown_attributes": True,
                "metadata": {"inline": [idp.metadata()]},
                "service": {
                    "sp": {
                        "endpoints": {
                            "assertion_consumer_service": [(acs(connection.id), BINDING_HTTP_POST)]
                        },
                        "want_assertions_or_response_signed": True,
                        "want_assertions_signed": False,
                        "want_response_signed": False,
                    }
                },
            }
        )
    )

    def read(encoded: str, request_id: str) -> None:
        # The hub puts a quicker schema check in the place of pysaml2's own.
        saml2.sigver.validate_doc_with_schema = stock_schema_check
        try:
            response = client.parse_authn_request_response(
                encoded,
                BINDING_HTTP_POST,
                {request_id: "/"},
                conv_info={"entity_id": entity_id(connection.id)},
            )
            if not response.ava:
                raise AssertionError("pysaml2 read no attributes")
        finally:
            saml2.sigver.validate_doc_with_schema = quick_schema_check

    return read
