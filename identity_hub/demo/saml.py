"""The demo IdP's SAML side: pysaml2, signing in process. Knows demo people, not what the hub decides."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any

import requests
from saml2 import BINDING_HTTP_POST, BINDING_HTTP_REDIRECT, SAMLError
from saml2.authn_context import PASSWORDPROTECTEDTRANSPORT
from saml2.config import IdPConfig
from saml2.metadata import entity_descriptor
from saml2.s_utils import OtherError, SamlException, VersionMismatch
from saml2.saml import NAMEID_FORMAT_PERSISTENT, NameID
from saml2.server import Server
from saml2.sigver import RSACrypto, import_rsa_key_from_file
from saml2.validate import NotValid
from saml2.xmldsig import DIGEST_SHA256, SIG_RSA_SHA256

from identity_hub.core import clock
from identity_hub.demo import files
from identity_hub.demo.files import Person
from saml_sp.backend import XmlSecBackend, collecting, private_key
from saml_sp.message import decode, inflate, parse
from saml_sp.message import saml as name_in_saml
from saml_sp.refusal import Refused

# A name and not an address: `make run PORT=...` moves the IdP and must not turn it into another one.
ENTITY_ID = "urn:identity-hub:demo-idp"

# The names that Entra ID gives its claims.
_CLAIMS = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims"
USER_NAME = f"{_CLAIMS}/name"
EMAIL = f"{_CLAIMS}/emailaddress"
GIVEN_NAME = f"{_CLAIMS}/givenname"
FAMILY_NAME = f"{_CLAIMS}/surname"
OBJECT_ID = "http://schemas.microsoft.com/identity/claims/objectidentifier"
DISPLAY_NAME = "http://schemas.microsoft.com/identity/claims/displayname"


_STRANGER = "The sign-in request does not come from a service that this IdP knows."


class BadRequest(Exception):
    """A message that this IdP does not answer; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A SAML request as it came, so that the login form can carry it to the next step."""

    binding: str
    saml_request: str
    relay_state: str = ""
    sig_alg: str = ""
    signature: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the browser posts: where to, and the base64 of the message."""

    destination: str
    saml_response: str
    relay_state: str


def metadata(base: str) -> str:
    """The IdP's metadata (XML) for an IdP that answers at `base`."""
    return str(entity_descriptor(IdPConfig().load(_configuration(base))))


def wanted_by(base: str, message: Message) -> str:
    """The entity ID of the service provider that asks. Raises BadRequest."""
    return str(_parse(_server(base, _service_providers(message)), message).message.issuer.text)


def answer(base: str, message: Message, person: Person) -> Answer:
    """A signed response for a person who has just given a password. Raises BadRequest."""
    server = _server(base, _service_providers(message))
    request = _parse(server, message)
    place = server.response_args(request.message, [BINDING_HTTP_POST])
    place.pop("binding")
    response = server.create_authn_response(
        identity={
            USER_NAME: [person.user_name],
            EMAIL: [person.user_name],
            GIVEN_NAME: [person.given_name],
            FAMILY_NAME: [person.family_name],
            DISPLAY_NAME: [person.name],
            OBJECT_ID: [person.object_id],
        },
        userid=person.object_id,
        name_id=NameID(format=NAMEID_FORMAT_PERSISTENT, text=person.object_id),
        authn={"class_ref": PASSWORDPROTECTEDTRANSPORT, "authn_auth": ENTITY_ID},
        # pysaml2's own default is RSA with SHA-1, whatever the configuration says.
        sign_alg=SIG_RSA_SHA256,
        digest_alg=DIGEST_SHA256,
        session_not_on_or_after=(clock.now() + timedelta(hours=8)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        **place,
    )
    encoded = base64.b64encode(str(response).encode()).decode()
    return Answer(destination=place["destination"], saml_response=encoded, relay_state=message.relay_state)


def _configuration(base: str, service_providers: tuple[str, ...] = ()) -> dict[str, object]:
    key, certificate = files.idp_key()
    return {
        "entityid": ENTITY_ID,
        "description": "The demo IdP of Identity Hub",
        "service": {
            "idp": {
                "name": "Demo IdP",
                "endpoints": {
                    "single_sign_on_service": [
                        (f"{base}/sso", BINDING_HTTP_REDIRECT),
                        (f"{base}/sso", BINDING_HTTP_POST),
                    ],
                },
                "name_id_format": [NAMEID_FORMAT_PERSISTENT],
                "want_authn_requests_signed": True,
                "sign_response": True,
                "sign_assertion": True,
                "policy": {"default": {"lifetime": {"minutes": 5}}},
            },
        },
        "key_file": str(key),
        "cert_file": str(certificate),
        "metadata": {"inline": list(service_providers)},
        # A placeholder that needs no program; the real backend is injected below.
        "crypto_backend": "XMLSecurity",
    }


@lru_cache(maxsize=4)
def _server(base: str, service_providers: tuple[str, ...]) -> Server:
    server = Server(config=IdPConfig().load(_configuration(base, service_providers)))
    key, _ = files.idp_key()
    server.sec.crypto = XmlSecBackend(private_key(key.read_bytes()))
    # pysaml2 looks here, and not at the backend above, for signatures of the redirect binding.
    server.sec.sec_backend = RSACrypto(import_rsa_key_from_file(str(key)))
    return server


def _service_providers(message: Message) -> tuple[str, ...]:
    """The metadata of the hub's connection that asks, fetched each time: the hub may have moved."""
    hub = files.hub()
    if hub is None:
        raise BadRequest("This IdP knows no hub yet. Run `manage.py setup_demo` first.")
    try:
        found = requests.get(_issuer(message, hub), timeout=10)
        found.raise_for_status()
    except requests.RequestException as error:
        raise BadRequest(
            f"The hub at {hub.url} does not give its metadata ({type(error).__name__})."
        ) from None
    return (found.text,)


def _issuer(message: Message, hub: files.Hub) -> str:
    """Who asks: the entity ID of a connection, which is where its metadata is. Raises BadRequest."""
    with _understood():
        issuer = parse(_xml(message)).findtext(name_in_saml("Issuer"), "").strip()
    # Only addresses of this hub: a request must not choose where we fetch from.
    if not hub.has(issuer):
        raise BadRequest(_STRANGER)
    return issuer


def _xml(message: Message) -> bytes:
    redirected = message.binding == BINDING_HTTP_REDIRECT
    return inflate(message.saml_request) if redirected else decode(message.saml_request)


@contextmanager
def _understood() -> Iterator[None]:
    try:
        yield
    except (Refused, SAMLError, SamlException, NotValid, OtherError, VersionMismatch, UnicodeDecodeError):
        raise BadRequest(_STRANGER) from None


def _parse(server: Server, message: Message) -> Any:
    with _understood():
        xml = _xml(message)
        with collecting(parse(xml)):
            return server.parse_authn_request(
                message.saml_request,
                message.binding,
                relay_state=message.relay_state or None,
                sigalg=message.sig_alg or None,
                signature=message.signature or None,
            )
