"""One pysaml2 client per connection and configuration version. Knows the protocol; judges no assertion's content."""

import base64
import binascii
import secrets
from collections import OrderedDict
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache, partial
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import unquote_plus
from uuid import UUID

import xmlsec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate
from lxml import etree
from saml2 import BINDING_HTTP_POST, BINDING_HTTP_REDIRECT, SAMLError
from saml2.client import Saml2Client
from saml2.config import SPConfig
from saml2.metadata import do_key_descriptor, entity_descriptor
from saml2.response import AuthnResponse, IncorrectlySigned
from saml2.s_utils import SamlException, success_status_factory
from saml2.saml import NAMEID_FORMAT_ENTITY, Issuer, NameID
from saml2.samlp import LogoutResponse
from saml2.sigver import RSACrypto, import_rsa_key_from_file
from saml2.xmldsig import DIGEST_SHA256, SIG_RSA_SHA256

from identity_hub.core import certificates
from identity_hub.core.clock import now
from provisioning import addresses
from provisioning.idp_metadata import SAML_2, Unusable, describe
from provisioning.models import Connection

from . import encryption_keys, own_keys
from .assertion import NameId
from .backend import (
    SIGNATURES,
    Collected,
    IdpKeys,
    Security,
    XmlSecBackend,
    check_shapes,
    collecting,
    forbidden,
    install_schema_check,
    is_encrypted,
    private_key,
    signed_by,
    unreadable,
)
from .checks import SKEW
from .message import assertion_of, decode, ds, inflate, parse, saml, screen
from .refusal import Refusal, Refused, refuse

MAX_CLIENTS = 256
MAX_ENCRYPTED_PARTS = 10
LOGOUT_LIFE = timedelta(minutes=5)

install_schema_check()


class NotConfigured(Exception):
    """The connection has no usable IdP metadata. `detail` says why, for an administrator."""

    def __init__(self, **detail: str) -> None:
        super().__init__()
        self.detail = detail


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """An assertion whose signature, or whose Response's signature, the connection's IdP made."""

    assertion: etree._Element
    response_signed: bool
    assertion_signed: bool
    encrypted: bool
    complaint: Refusal | None
    """What pysaml2 refused although the signature is good; the checks usually know it more exactly."""


class _Response(AuthnResponse):
    """Leaves what is said alone: `checks.py` and `mapping.py` read it from the signed element, and are stricter.

    pysaml2 refuses an assertion for one foreign confirmation beside ours, reads attributes out of Advice, swallows
    errors while it compares InResponseTo, and stumbles over a time with a zone (+00:00), so that nobody was told why.
    """

    def _postamble(self) -> "_Response":
        # pysaml2 would hold its objects against the schemas once more, by rules of its own; the schemas themselves were
        # held against the message before its signature was looked at (`backend.Security`).
        if not self.response:
            raise IncorrectlySigned
        self.in_response_to = self.response.in_response_to
        return self

    def issue_instant_ok(self) -> bool:
        return True

    def condition_ok(self, lax: bool = False) -> bool:
        return True

    def authn_statement_ok(self, optional: bool = False) -> bool:
        return True

    def get_subject(self, keys: Any = None) -> None:
        return None

    def get_identity(self) -> dict[str, Any]:
        return {}

    def check_subject_confirmation_in_response_to(self, irp: str) -> bool:
        return True


class _Client(Saml2Client):
    @staticmethod
    def unravel(txt: str, binding: str, msgtype: str = "response") -> str:
        # Attack: pysaml2 first tries to inflate a POST, without a limit; a text that is both base64 of XML and of a
        # deflate stream would be two documents. The message was decoded by `message.decode`, once.
        return txt


def _config(connection: Connection, *, with_idp: bool) -> SPConfig:
    own = own_keys.pairs()
    options: dict[str, Any] = {
        "entityid": addresses.saml_metadata(connection.id),
        "name": "Identity Hub",
        # A placeholder that looks for no program; `_build` puts the real backend in its place.
        "crypto_backend": "XMLSecurity",
        "key_file": own[0].key_file,
        "cert_file": own[0].certificate_file,
        "additional_cert_files": [pair.certificate_file for pair in own[1:]],
        # Inside service.sp this is silently ignored, and Okta's, Google's and Entra's attributes vanish.
        "allow_unknown_attributes": True,
        "only_use_keys_in_metadata": True,
        "accepted_time_diff": int(SKEW.total_seconds()),
        # pysaml2's own default is RSA with SHA-1.
        "signing_algorithm": SIG_RSA_SHA256,
        "digest_algorithm": DIGEST_SHA256,
        "delete_tmpfiles": True,
        "service": {
            "sp": {
                "endpoints": {
                    "assertion_consumer_service": [(addresses.saml_acs(connection.id), BINDING_HTTP_POST)],
                    "single_logout_service": [
                        (addresses.saml_logout(connection.id), BINDING_HTTP_REDIRECT),
                        (addresses.saml_logout(connection.id), BINDING_HTTP_POST),
                    ],
                },
                "authn_requests_signed": True,
                "logout_requests_signed": True,
                # Published as true: SimpleSAMLphp obeys a false and sends encrypted assertions unsigned. What we
                # accept is said in `verify`: Google and others sign only the Response.
                "want_assertions_signed": True,
                "want_assertions_or_response_signed": True,
                "want_response_signed": False,
                "allow_unsolicited": False,
                "name_id_policy_format": None,
            }
        },
    }
    if with_idp:
        options["metadata"] = {"inline": [connection.idp_metadata]}
    return SPConfig().load(options)


@lru_cache(maxsize=4)
def _signing_keys(own: own_keys.Pair) -> tuple[xmlsec.Key, Any]:
    """The same for forms and for redirects."""
    # Reading one takes OpenSSL 20 ms and more, which was most of what a client took to build.
    return private_key(Path(own.key_file).read_bytes()), import_rsa_key_from_file(own.key_file)


_CERTIFICATE = "a signing certificate that can be used"


def _build(connection: Connection) -> Saml2Client:
    if not connection.idp_metadata or not connection.idp_entity_id:
        raise NotConfigured(expected="the IdP's metadata", found="none")
    # Not those that pysaml2 finds: what is shown as the IdP's keys, and warned of, is what signs.
    try:
        idp = describe(connection.idp_metadata, connection.idp_entity_id)
    except Unusable as error:
        raise NotConfigured(expected="metadata that can be used", found=str(error)) from error
    # Stored before this was asked of a document. pysaml2 keeps such an IdP in a shape that it cannot read itself.
    if SAML_2 not in idp.protocols:
        raise NotConfigured(expected=SAML_2, found=" ".join(sorted(idp.protocols))[:500] or "none")
    try:
        client = _Client(config=_config(connection, with_idp=True))
    except SAMLError as error:
        raise NotConfigured(expected="metadata that can be read", found=type(error).__name__) from error
    known = sorted(client.metadata.keys())
    if connection.idp_entity_id not in known:
        found = ", ".join(known)[:500] or "none"
        raise NotConfigured(expected=f"metadata of {connection.idp_entity_id}", found=found)
    if not idp.certificates:
        raise NotConfigured(expected=_CERTIFICATE, found=" ".join(idp.left_out) or "none")
    own = own_keys.pairs()[0]
    for_forms, for_redirects = _signing_keys(own)
    client.sec = Security(
        XmlSecBackend(for_forms),
        own.key_file,
        cert_file=own.certificate_file,
        metadata=IdpKeys(connection.idp_entity_id, tuple(one.pem for one in idp.certificates)),
        only_use_keys_in_metadata=True,
        sec_backend=RSACrypto(for_redirects),
    )
    return client


_clients: OrderedDict[UUID, tuple[int, Saml2Client]] = OrderedDict()
_clients_lock = Lock()


def client_of(connection: Connection) -> Saml2Client:
    """The connection's client; building one takes 55 to 90 ms, so a process keeps the newest of each.

    One client per IdP: with two in one store, a genuine assertion of the one passes under the other's name.
    Raises NotConfigured.
    """
    # Metadata 2.3.1: what is past its validUntil counts for nothing, in a process that has read it earlier too.
    if connection.metadata_valid_until is not None and connection.metadata_valid_until <= now():
        until = connection.metadata_valid_until.isoformat()
        raise NotConfigured(valid_until=until, now=now().isoformat())
    with _clients_lock:
        kept = _clients.get(connection.id)
        if kept is not None and kept[0] == connection.config_version:
            _clients.move_to_end(connection.id)
            return kept[1]
    client = _build(connection)
    with _clients_lock:
        _clients[connection.id] = (connection.config_version, client)
        _clients.move_to_end(connection.id)
        while len(_clients) > MAX_CLIENTS:
            _clients.popitem(last=False)
    return client


def metadata(connection: Connection) -> str:
    """Our metadata for this connection; needs nothing of the IdP's."""
    descriptor = entity_descriptor(_config(connection, with_idp=False))
    certificate = load_pem_x509_certificate(encryption_keys.published(connection).certificate.encode())
    text = base64.b64encode(certificate.public_bytes(Encoding.DER)).decode()
    descriptor.spsso_descriptor.key_descriptor += do_key_descriptor(enc_cert=text, use="encryption")
    return str(descriptor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A signed message on its way to the IdP, carried by the browser."""

    id: str
    binding: str
    """`redirect`: send the browser to `url`; `post`: a form with `fields` to `url`."""
    url: str
    fields: dict[str, str]


def _service(client: Saml2Client, idp: str, name: str, binding: str) -> dict[str, str]:
    """The IdP's first endpoint of this kind and binding; empty where it has none."""
    try:
        services = client.metadata.service(idp, "idpsso_descriptor", name, binding)
    except SamlException:
        return {}
    return dict(services[0]) if services else {}


def start_login(connection: Connection) -> Outgoing:
    """A signed AuthnRequest, by redirect where the IdP offers it, else by POST. Raises NotConfigured."""
    client = client_of(connection)
    request = partial(
        client.create_authn_request,
        nameid_format=connection.name_id_format or None,
        # pysaml2 says false, by which an IdP may name nobody whom it has not named to us before (core 3.4.1.1).
        allow_create="true",
        force_authn="true" if connection.force_authn else None,
        requested_authn_context={"authn_context_class_ref": connection.authn_contexts, "comparison": "exact"},
    )
    sent = _sent(client, connection, "single_sign_on_service", request)
    if sent is None:
        raise NotConfigured(expected="an address to sign in at, by redirect or POST", found="none")
    return sent


def start_logout(connection: Connection, name_id: NameId, session_index: str) -> Outgoing | None:
    """A signed LogoutRequest for one session of a subject; None where the IdP takes none. Raises NotConfigured."""
    client = client_of(connection)
    named = NameID(
        text=name_id.value,
        format=name_id.format,
        name_qualifier=name_id.qualifier or None,
        sp_name_qualifier=name_id.sp_qualifier or None,
    )
    request = partial(
        client.create_logout_request,
        issuer_entity_id=connection.idp_entity_id,
        name_id=named,
        session_indexes=[session_index] if session_index else None,
        # Core 3.7.1: an old one, found in a history, ends nothing.
        expire=(now() + LOGOUT_LIFE).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )
    return _sent(client, connection, "single_logout_service", request)


def _sent(
    client: Saml2Client, connection: Connection, service: str, request: Callable[..., tuple[Any, Any]]
) -> Outgoing | None:
    """The request, made for the IdP's first address of this service: by redirect, else by POST."""
    idp = connection.idp_entity_id
    # 160 random bits: an ID that nobody can guess keeps a foreign browser from answering for ours.
    request_id = f"_{secrets.token_hex(20)}"
    if url := _service(client, idp, service, BINDING_HTTP_REDIRECT).get("location"):
        _, message = request(url, message_id=request_id, sign=False)
        sent = client.apply_binding(
            BINDING_HTTP_REDIRECT, str(message), url, sign=True, sigalg=SIG_RSA_SHA256
        )
        return Outgoing(id=request_id, binding="redirect", url=dict(sent["headers"])["Location"], fields={})
    if url := _service(client, idp, service, BINDING_HTTP_POST).get("location"):
        _, signed = request(
            url, message_id=request_id, sign=True, sign_alg=SIG_RSA_SHA256, digest_alg=DIGEST_SHA256
        )
        encoded = base64.b64encode(str(signed).encode()).decode()
        return Outgoing(id=request_id, binding="post", url=url, fields={"SAMLRequest": encoded})
    return None


def answers(encoded: str, request_id: str) -> bool:
    """Whether a POST says that it answers this request. What says so is not believed yet."""
    try:
        return bool(parse(decode(encoded)).get("InResponseTo") == request_id)
    except Refused:
        return False


def verify(connection: Connection, xml: bytes, root: etree._Element, request_id: str) -> Verified | Refusal:
    """Runs pysaml2 over a screened Response that answers `request_id` ("": none); returns the element that was signed.

    Raises NotConfigured.
    """
    client = client_of(connection)
    crypto = _crypto(client, connection, root)
    complaint: Refusal | None = None
    with collecting(root) as collected:
        try:
            # pysaml2 looks at some of this too, but only says that the signature is bad.
            check_shapes(root)
            client._parse_response(
                xml.decode("utf-8"),
                _Response,
                "assertion_consumer_service",
                BINDING_HTTP_POST,
                outstanding_queries={request_id: connection.id} if request_id else {},
                allow_unsolicited=not request_id,
                want_assertions_signed=False,
                want_assertions_or_response_signed=True,
                want_response_signed=False,
                return_addrs=[addresses.saml_acs(connection.id)],
                entity_id=addresses.saml_metadata(connection.id),
                attribute_converters=[],
                allow_unknown_attributes=True,
                # Without it any Recipient passes.
                conv_info={"entity_id": addresses.saml_metadata(connection.id)},
            )
        except Refused as refused:
            return _unopened(collected) or refused.refusal
        except Exception as error:  # noqa: BLE001 - pysaml2 refuses with bare Exception and every other class
            complaint = refuse("saml:not-verified", error=type(error).__name__)
    assertion = assertion_of(collected.plain)
    signed = {etree.QName(element).localname for element in collected.verified}
    # The signature of the whole Response covers the assertion; else the assertion itself was verified.
    if assertion is None or ("Response" not in signed and assertion not in collected.verified):
        if refusal := _unopened(collected):
            return refusal
        has_signature = next(collected.plain.iter(ds("Signature")), None) is not None
        return (
            refuse("saml:signature-invalid", **_keys_compared(client, collected.plain))
            if has_signature
            else refuse("saml:unsigned")
        )
    try:
        assertion = _with_parts_decrypted(crypto, assertion)
    except Refused as refused:
        return refused.refusal
    return Verified(
        assertion=assertion,
        response_signed="Response" in signed,
        assertion_signed="Assertion" in signed,
        encrypted=collected.encrypted,
        complaint=complaint,
    )


def _crypto(client: Saml2Client, connection: Connection, message: etree._Element) -> XmlSecBackend:
    """The client's own, with the connection's keys where the message needs them: read once as long as they are valid.

    Before pysaml2 runs, which takes a database that is away for a bad message.
    """
    crypto: XmlSecBackend = client.sec.crypto
    if not crypto.decryption_keys and is_encrypted(message):
        crypto.decryption_keys = tuple(map(private_key, encryption_keys.private_keys(connection)))
    return crypto


def _unopened(collected: Collected) -> Refusal | None:
    """What is told of an encrypted assertion that was opened, and which no key of the IdP's vouches for."""
    return unreadable(collected.original.find(saml("EncryptedAssertion"))) if collected.encrypted else None


def _keys_compared(client: Saml2Client, root: etree._Element) -> dict[str, str]:
    """Fingerprints, for the administrator: of the certificates in the metadata, and of those that the message names.

    A key that the IdP has changed is the usual cause. What a message names is shown and never believed.
    """
    known = (load_pem_x509_certificate(one.encode()) for one in client.sec.metadata.certificates)
    named = []
    for element in [*root.iter(ds("X509Certificate"))][:2]:
        try:
            named.append(certificates.from_text("".join(element.itertext())).fingerprint)
        except certificates.Unreadable:
            named.append("unreadable")
    return {
        "expected": " or ".join(certificate.fingerprint(SHA256()).hex() for certificate in known),
        "found": " and ".join(dict.fromkeys(named)) or "no certificate in the message",
    }


def _with_parts_decrypted(backend: XmlSecBackend, assertion: etree._Element) -> etree._Element:
    """The assertion with a plain NameID and plain attributes. Raises Refused."""
    plain = {saml("EncryptedID"): saml("NameID"), saml("EncryptedAttribute"): saml("Attribute")}
    if next(assertion.iter(*plain), None) is None:
        return assertion
    assertion = deepcopy(assertion)
    holders = list(assertion.iter(*plain))
    if len(holders) > MAX_ENCRYPTED_PARTS:
        found, limit = len(holders), MAX_ENCRYPTED_PARTS
        raise Refused(refuse("saml:decryption-failed", what="encrypted parts", size=found, limit=limit))
    for holder in holders:
        element = backend.decrypted(holder, plain[holder.tag])
        if any(not isinstance(node.tag, str) for node in element.iter()):
            raise Refused(unreadable(holder))
        holder.getparent().replace(holder, element)
    return assertion


_HASHES: dict[str, HashAlgorithm] = {"sha256": SHA256(), "sha384": SHA384(), "sha512": SHA512()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """A protocol message as it came: `binding` is redirect or post, `query` the raw query string of a redirect."""

    field: str
    binding: str
    value: str
    query: str = ""
    relay_state: str = ""

    def xml(self) -> bytes:
        """Raises Refused."""
        return inflate(self.value) if self.binding == "redirect" else decode(self.value)

    def answers(self, request_id: str) -> bool:
        """Whether it says that it answers this request. What says so is not believed yet."""
        try:
            return bool(parse(self.xml()).get("InResponseTo") == request_id)
        except Refused:
            return False


def signed_message(connection: Connection, incoming: Incoming, kind: str) -> etree._Element | Refusal:
    """The root of a logout message that the connection's IdP signed. Raises NotConfigured."""
    try:
        root = parse(incoming.xml())
        if refusal := screen(root, kind=kind):
            return refusal
        client = client_of(connection)
        known = client.sec.metadata.certificates
        if incoming.binding == "redirect":
            valid = _query_signed_by(incoming, known)
        elif root.find(ds("Signature")) is None:
            return refuse("saml:unsigned")
        else:
            valid = any(signed_by(root, certificate.encode()) for certificate in known)
        if valid:
            return _with_parts_decrypted(_crypto(client, connection, root), root)
    except Refused as refused:
        return refused.refusal
    return refuse("saml:signature-invalid", **_keys_compared(client, root))


def _query_signed_by(incoming: Incoming, known: tuple[str, ...]) -> bool:
    """SAML bindings 3.4.4.1: the signature is over the query string as it was sent, not as we would encode it."""
    parts: dict[str, str] = {}
    for pair in incoming.query.split("&"):
        name, _, value = pair.partition("=")
        # Attack: a parameter given twice, of which one is verified and the other read ("SAML%52equest" is one, too).
        name = unquote_plus(name)
        if name in parts:
            raise Refused(refuse("saml:malformed", what="repeated parameter", name=name))
        parts[name] = value
    if "Signature" not in parts or "SigAlg" not in parts:
        raise Refused(refuse("saml:unsigned"))
    # Attack: a charset in which the names or values read otherwise than here. What was read is what is verified.
    for name, read in ((incoming.field, incoming.value), ("RelayState", incoming.relay_state)):
        if unquote_plus(parts.get(name, "")) != read:
            raise Refused(refuse("saml:malformed", what="ambiguous parameter", name=name))
    algorithm = unquote_plus(parts["SigAlg"])
    if algorithm not in SIGNATURES:
        raise Refused(forbidden("SigAlg", SIGNATURES, algorithm))
    content = "&".join(
        f"{name}={parts[name]}" for name in (incoming.field, "RelayState", "SigAlg") if name in parts
    ).encode()
    try:
        signature = base64.b64decode(unquote_plus(parts["Signature"]), validate=True)
    except (binascii.Error, ValueError):
        raise Refused(refuse("saml:malformed", what="signature")) from None
    digest = _HASHES[algorithm.rpartition("-")[2]]
    for certificate in known:
        key = load_pem_x509_certificate(certificate.encode()).public_key()
        try:
            if isinstance(key, rsa.RSAPublicKey) and "#rsa-" in algorithm:
                key.verify(signature, content, padding.PKCS1v15(), digest)
                return True
            if isinstance(key, ec.EllipticCurvePublicKey) and "#ecdsa-" in algorithm:
                key.verify(signature, content, ec.ECDSA(digest))
                return True
        except InvalidSignature:
            continue
    return False


def logout_answer(connection: Connection, request_id: str, relay_state: str) -> Outgoing | None:
    """A signed LogoutResponse to the IdP, by redirect, else by POST; None where it names no address for one."""
    client = client_of(connection)
    services = {
        binding: _service(client, connection.idp_entity_id, "single_logout_service", binding)
        for binding in (BINDING_HTTP_REDIRECT, BINDING_HTTP_POST)
    }
    binding = next((binding for binding, service in services.items() if service.get("location")), None)
    if binding is None:
        return None
    url = services[binding].get("response_location") or services[binding]["location"]
    response = LogoutResponse(
        id=f"_{secrets.token_hex(20)}",
        version="2.0",
        issue_instant=now().strftime("%Y-%m-%dT%H:%M:%SZ"),
        destination=url,
        in_response_to=request_id,
        issuer=Issuer(text=addresses.saml_metadata(connection.id), format=NAMEID_FORMAT_ENTITY),
        status=success_status_factory(),
    )
    if binding == BINDING_HTTP_POST:
        signed = client.sign(response, sign_alg=SIG_RSA_SHA256, digest_alg=DIGEST_SHA256)
        encoded = base64.b64encode(str(signed).encode()).decode()
        fields = {"SAMLResponse": encoded, **({"RelayState": relay_state} if relay_state else {})}
        return Outgoing(id=response.id, binding="post", url=url, fields=fields)
    sent = client.apply_binding(
        BINDING_HTTP_REDIRECT,
        str(response),
        url,
        relay_state=relay_state,
        response=True,
        sign=True,
        sigalg=SIG_RSA_SHA256,
    )
    return Outgoing(id=response.id, binding="redirect", url=dict(sent["headers"])["Location"], fields={})
