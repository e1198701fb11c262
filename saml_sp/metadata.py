"""An IdP's metadata from wherever it comes to the connection: fetched, its signature checked, offered.

Knows signatures and addresses; what a document may change is said in `provisioning.services.metadata`.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import structlog
from django.db import transaction
from lxml import etree

from identity_hub.core import outbound
from identity_hub.core.clock import now
from identity_hub.core.outbound import Version
from provisioning.decision.types import Actor
from provisioning.models import Connection
from provisioning.services import configuration
from provisioning.services import metadata as services
from provisioning.services.invalid import Invalid
from provisioning.services.metadata import Source, Taken
from provisioning.services.name_ids import NameIds

from .backend import signed_by
from .message import ID_NAMES, ds
from .refusal import Refused

MAX_BYTES = 2 * 1024 * 1024
SECONDS = 15

_log = structlog.get_logger("saml_sp.metadata")
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """A document whose signature was checked, where one was asked for."""

    text: str
    source: Source


def from_address(url: str, certificates: str) -> Read:
    """Raises Invalid."""
    try:
        document = outbound.fetch(url, max_bytes=MAX_BYTES, seconds=SECONDS)
    except outbound.Refused as error:
        raise Invalid("metadata_url", str(error)) from None
    return from_bytes(document.body, certificates, Source(kind="address", version=document.version))


def from_file(path: str, certificates: str) -> Read:
    """Raises Invalid."""
    try:
        with Path(path).open("rb") as file:
            body = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise Invalid("idp_metadata", f"{path} cannot be read: {error.strerror}.") from None
    return from_bytes(body, certificates, Source(kind="file"))


def from_bytes(body: bytes, certificates: str, source: Source) -> Read:
    """Where there are `certificates` (PEM), one of them must have signed the whole document. Raises Invalid."""
    if len(body) > MAX_BYTES:
        raise Invalid("idp_metadata", f"The IdP metadata is larger than {MAX_BYTES // 1024} KiB.")
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Invalid("idp_metadata", "The IdP metadata is not UTF-8 text.") from None
    if certificates:
        trusted = _PEM.findall(certificates)
        if not trusted:
            raise Invalid("metadata_signing_certificates", "This is no certificate in PEM form.")
        _require_signature(text, trusted)
    return Read(text=text, source=source)


def _require_signature(text: str, trusted: list[str]) -> None:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(text.encode(), parser)
    except (etree.XMLSyntaxError, ValueError):
        raise Invalid("idp_metadata", "The IdP metadata is not well-formed XML.") from None
    # Attack: wrapping. A signature deeper inside says nothing about what stands beside it, so only one over the
    # root counts.
    if root.find(ds("Signature")) is None:
        raise Invalid(
            "idp_metadata", "The IdP metadata is not signed as a whole, which this connection asks for."
        )
    # Attack: a second element with the root's ID (libxml2 itself takes xml:id for one), which is verified instead.
    named = [node for node in root.iter(etree.Element) if root.get("ID") in map(node.get, ID_NAMES)]
    if not root.get("ID") or len(named) != 1 or root.getroottree().docinfo.doctype:
        raise Invalid(
            "idp_metadata", "The signature of the IdP metadata does not say clearly what it is over."
        )
    try:
        valid = any(signed_by(root, certificate.encode()) for certificate in trusted)
    except Refused as refused:
        raise Invalid(
            "idp_metadata",
            f"The signature of the IdP metadata is of a form that is not accepted ({refused.refusal.reason}).",
        ) from None
    if not valid:
        raise Invalid(
            "idp_metadata", "The IdP metadata was not signed by the certificate that is given for it."
        )


def take(
    connection: Connection,
    read: Read,
    *,
    actor: Actor,
    reason: str,
    confirmed: bool = False,
    url: str | None = None,
    certificates: str | None = None,
    name_ids: NameIds = NameIds.KEPT,
) -> Taken:
    """What a person imports. `url` is followed from now on ("": none is), None leaves what is set. Raises Invalid."""
    settings = {"metadata_url": url, "metadata_signing_certificates": certificates}
    changes = {
        name: value
        for name, value in settings.items()
        if value is not None and value != getattr(connection, name)
    }
    with transaction.atomic():
        if changes:
            configuration.change_connection(
                connection=connection, changes=changes, reason=reason, actor=actor
            )
        return services.offer_metadata(
            connection=connection,
            document=read.text,
            at=now(),
            actor=actor,
            source=read.source,
            confirmed=confirmed,
            reason=reason,
            name_ids=name_ids,
        )


def refresh(connection: Connection, *, actor: Actor) -> Taken | None:
    """Reads the connection's address again; None where it gave nothing of use: `metadata_problem` says why."""
    at = now()
    try:
        outcome = _refreshed(connection, actor)
    except (outbound.Refused, Invalid) as error:
        services.note_failure(connection=connection, problem=str(error), at=at)
        _log.warning("metadata:not-refreshed", connection=str(connection.pk), problem=str(error))
        return None
    level = _log.info if outcome is Taken.UNCHANGED else _log.warning
    level(f"metadata:{outcome}", connection=str(connection.pk))
    return outcome


def _refreshed(connection: Connection, actor: Actor) -> Taken:
    at = now()
    known = Version(etag=connection.metadata_etag, last_modified=connection.metadata_last_modified)
    if connection.metadata_valid_until is not None and connection.metadata_valid_until <= at:
        # "Unchanged" would be no answer: what is here counts for nothing any more.
        known = Version()
    document = outbound.fetch_newer(connection.metadata_url, known, max_bytes=MAX_BYTES, seconds=SECONDS)
    if document is None:
        services.note_unchanged(connection=connection, at=at)
        return Taken.FROZEN if connection.proposed_metadata else Taken.UNCHANGED
    source = Source(kind="address", version=document.version)
    read = from_bytes(document.body, connection.metadata_signing_certificates, source)
    return services.offer_metadata(
        connection=connection,
        document=read.text,
        at=at,
        actor=actor,
        source=read.source,
        reason=None,
        freezes=True,
    )
