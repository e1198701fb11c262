"""What an administrator sees and does about the keys for which a connection's IdP encrypts. Knows no private key."""

from collections.abc import Mapping

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509 import load_pem_x509_certificate
from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from provisioning.admin.base import TenantAdmin, actor_of, said
from provisioning.admin.forms import ReasonForm
from provisioning.admin.parts import Card, View
from provisioning.models import Connection

from . import encryption_keys
from .metadata_card import spaced


class KeyForm(ReasonForm):
    """`seen`: the key that the page showed."""

    seen = forms.IntegerField(widget=forms.HiddenInput)


class EncryptionPart:
    def __init__(self) -> None:
        self.views: Mapping[str, View] = {
            "new-encryption-key": self.renew,
            "end-encryption-key": self.end,
        }

    def cards(self, request: HttpRequest, connection: Connection) -> list[Card]:
        rows = []
        for row in encryption_keys.in_use(connection):
            certificate = load_pem_x509_certificate(row.certificate.encode())
            rows.append((row, certificate.not_valid_after_utc, certificate.fingerprint(SHA256()).hex()))
        return [Card(template="saml_sp/admin/encryption.html", context={"rows": rows})]

    def renew(self, page: TenantAdmin, request: HttpRequest, connection: Connection) -> HttpResponse:
        newest = next((row.number for row in encryption_keys.in_use(connection)), 0)

        def act(data: dict[str, str | int]) -> str:
            encryption_keys.renew(
                connection, seen=int(data["seen"]), actor=actor_of(request), reason=str(data["reason"])
            )
            return (
                "The metadata names the new key. Have the identity provider read it, then end the older one."
            )

        return page.ask(
            request,
            connection,
            KeyForm(said(request), initial={"seen": newest}),
            title=f"Make a new encryption key for {connection}?",
            lead="The hub's metadata for this connection names the new certificate for encryption from now on. What is "
            "encrypted for the one before still opens, until you end it.",
            submit="Make it",
            act=act,
        )

    def end(self, page: TenantAdmin, request: HttpRequest, connection: Connection) -> HttpResponse:
        older = encryption_keys.in_use(connection)[1:]
        if not older:
            messages.info(request, "Only the key that the metadata names is in use.")
            return HttpResponseRedirect(page.address_of(connection))

        def act(data: dict[str, str | int]) -> str:
            encryption_keys.end(
                connection, number=int(data["seen"]), actor=actor_of(request), reason=str(data["reason"])
            )
            return "The older key is gone."

        certificate = load_pem_x509_certificate(older[0].certificate.encode())
        return page.ask(
            request,
            connection,
            KeyForm(said(request), initial={"seen": older[0].number}),
            title=f"End the older encryption key of {connection}?",
            lead="An identity provider that still encrypts for it signs nobody in from then on.",
            submit="End it",
            danger=True,
            facts=[("SHA-256", spaced(certificate.fingerprint(SHA256()).hex()))],
            act=act,
        )
