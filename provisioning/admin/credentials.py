"""The part of a connection's page about SCIM tokens and OAuth clients: issue, rotate, revoke, who uses which."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from unfold.decorators import action
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminTextInputWidget

from identity_hub.core.clock import now
from provisioning import addresses
from provisioning.models import Connection, ScimClient, ScimToken, Scope
from provisioning.selectors import credentials
from provisioning.services import tokens

from .base import TenantAdmin, actor_of, said
from .forms import ReasonForm

SWITCHED = {
    "waiting": (
        "hub-warning",
        "Not switched yet",
        "Enter the new token at the identity provider before the old one ends.",
    ),
    "both": (
        "hub-warning",
        "Both in use",
        "The old token was used after the new one: some job of the identity provider still sends it.",
    ),
    "switched": (
        "hub-success",
        "Switched",
        "Only the new token is in use. The old one can be revoked.",
    ),
}
"""How far a rotation has come: badge, word, and what to do."""


class ScopesForm(ReasonForm):
    name = forms.CharField(
        max_length=100,
        required=False,
        widget=UnfoldAdminTextInputWidget(attrs={"autofocus": True}),
        help_text="Which client will use it, for instance: Entra ID production.",
    )
    scopes = forms.MultipleChoiceField(
        choices=Scope.choices,
        initial=Scope.values,
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        label="May",
        help_text="An identity provider that pushes people and groups needs all three.",
    )
    field_order = ["name", "scopes", "days", "reason"]


class DaysField(forms.IntegerField):
    def __init__(self, **options: Any) -> None:
        widget = UnfoldAdminTextInputWidget(attrs={"inputmode": "numeric"})
        super().__init__(widget=widget, required=False, **options)


class TokenForm(ScopesForm):
    days = DaysField(
        min_value=1,
        max_value=tokens.LONGEST_LIFE.days,
        label="Valid for (days)",
        help_text="Empty means: until somebody revokes it.",
    )


class RotateForm(ReasonForm):
    overlap = DaysField(
        min_value=0,
        max_value=tokens.LONGEST_OVERLAP.days,
        initial=tokens.OVERLAP.days,
        label="Both work for (days)",
        help_text="Then the old token ends. It never lives longer than it would have.",
    )
    days = DaysField(
        min_value=1,
        max_value=tokens.LONGEST_LIFE.days,
        label="The new one is valid for (days)",
        help_text="Empty means: as long as the old one was.",
    )
    field_order = ["overlap", "days", "reason"]


class CredentialPages(TenantAdmin):
    """Pages of a connection. What they show of a secret is in the answer to one POST and nowhere else."""

    def credentials_of(self, connection: Connection, at: datetime) -> dict[str, Any]:
        """What the connection's page shows."""
        rotations = credentials.rotations(connection, at)
        rotating = {row.pk for pair in rotations for row in (pair.old, pair.new)}
        return {
            "at": at,
            "rotations": [(pair, *SWITCHED[pair.state]) for pair in rotations],
            "tokens": [row for row in credentials.tokens(connection, at) if row.pk not in rotating],
            "clients": credentials.clients(connection, at),
            "all_scopes": len(Scope.values),
        }

    def get_urls(self) -> list[URLPattern]:
        views = {
            "rotate/<uuid:token_id>/": self.rotate_view,
            "revoke/<uuid:token_id>/": self.revoke_view,
            "revoke-client/<uuid:scim_client_id>/": self.revoke_client_view,
        }
        return [
            *(
                path(
                    f"<path:object_id>/{address}",
                    self.admin_site.admin_view(view),
                    name=f"provisioning_connection_{address.partition('/')[0].replace('-', '_')}",
                )
                for address, view in views.items()
            ),
            *super().get_urls(),
        ]

    @action(
        description="Issue a SCIM token",
        url_path="issue-token",
        icon="key",
        variant=ActionVariant.PRIMARY,
        permissions=["act"],
    )
    def issue_token(self, request: HttpRequest, object_id: str) -> HttpResponse:
        connection = self.get_object(request, object_id)

        def act(data: dict[str, Any]) -> HttpResponse:
            token, secret = tokens.issue_token(connection=connection, actor=actor_of(request), **data)
            return self._token_shown(request, connection, "The new SCIM token", token, secret)

        return self.ask(
            request,
            connection,
            TokenForm(said(request)),
            title=f"Issue a SCIM token for {connection}",
            lead="Whoever has it may push people and groups of this connection. It is shown once, on the next page.",
            submit="Issue the token",
            act=act,
        )

    @action(description="Add an OAuth client", url_path="add-client", icon="passkey", permissions=["act"])
    def add_client(self, request: HttpRequest, object_id: str) -> HttpResponse:
        connection = self.get_object(request, object_id)

        def act(data: dict[str, Any]) -> HttpResponse:
            client, secret = tokens.create_client(connection=connection, actor=actor_of(request), **data)
            return self._shown_once(
                request,
                connection,
                "The new OAuth client",
                [
                    ("Client ID", client.client_id, False),
                    ("Client secret", secret, True),
                    ("Token endpoint", addresses.scim_token_endpoint(), False),
                    ("SCIM base URL", addresses.scim_base(), False),
                ],
                "The client sends its ID and secret to the token endpoint (grant type client_credentials) and gets "
                "a token of an hour. The ID stays on the connection's page, the secret does not.",
            )

        return self.ask(
            request,
            connection,
            ScopesForm(said(request)),
            title=f"Add an OAuth client for {connection}",
            lead="For an identity provider that obtains short-lived tokens itself (OAuth 2.0 client credentials), "
            "instead of keeping a long-lived one. Its secret is shown once, on the next page.",
            submit="Add the client",
            act=act,
        )

    def rotate_view(self, request: HttpRequest, object_id: str, token_id: Any) -> HttpResponse:
        connection, token = self._token(request, object_id, token_id)

        def act(data: dict[str, Any]) -> HttpResponse:
            overlap = data["overlap"]
            new, secret = tokens.rotate_token(
                token=token,
                overlap=tokens.OVERLAP if overlap is None else timedelta(days=overlap),
                days=data["days"],
                reason=data["reason"],
                actor=actor_of(request),
            )
            return self._token_shown(
                request, connection, f"The successor of {token.prefix}…", new, secret, replaces=token
            )

        return self.ask(
            request,
            connection,
            RotateForm(said(request)),
            title=f"Rotate the token {token.prefix}…",
            lead="Makes a successor that may do the same. Both work for a while, so that nothing stops until the new "
            "one is entered at the identity provider. It is shown once, on the next page.",
            submit="Rotate it",
            facts=_facts(token),
            act=act,
        )

    def revoke_view(self, request: HttpRequest, object_id: str, token_id: Any) -> HttpResponse:
        connection, token = self._token(request, object_id, token_id)

        def act(data: dict[str, Any]) -> str:
            tokens.revoke_token(token=token, reason=data["reason"], actor=actor_of(request))
            return f"The token {token.prefix}… is revoked."

        return self.ask(
            request,
            connection,
            ReasonForm(said(request)),
            title=f"Revoke the token {token.prefix}…",
            lead="From the next request on it is unknown. A client that still uses it stops pushing.",
            submit="Revoke it",
            danger=True,
            facts=_facts(token),
            act=act,
        )

    def revoke_client_view(self, request: HttpRequest, object_id: str, scim_client_id: Any) -> HttpResponse:
        connection = self.get_object(request, object_id)
        client = ScimClient.objects.filter(
            tenant_id=connection.tenant_id, connection=connection, pk=scim_client_id, revoked_at__isnull=True
        ).first()
        if client is None:
            raise Http404

        def act(data: dict[str, Any]) -> str:
            tokens.revoke_client(client=client, reason=data["reason"], actor=actor_of(request))
            return f"The OAuth client {client} is revoked, with every token that it obtained."

        return self.ask(
            request,
            connection,
            ReasonForm(said(request)),
            title=f"Revoke the OAuth client {client}",
            lead="From the next request on it and every token that it obtained are unknown.",
            submit="Revoke it",
            danger=True,
            facts=[("Client ID", client.client_id), ("Last used", client.last_used_at or "never")],
            act=act,
        )

    def _token(self, request: HttpRequest, object_id: str, token_id: Any) -> tuple[Connection, ScimToken]:
        """A token that can still be rotated or revoked; else there is no such page."""
        connection = self.get_object(request, object_id)
        token = (
            credentials.live(now())
            .filter(tenant_id=connection.tenant_id, connection=connection, pk=token_id)
            .first()
        )
        if token is None:
            raise Http404
        return connection, token

    def _token_shown(
        self,
        request: HttpRequest,
        connection: Connection,
        title: str,
        token: ScimToken,
        secret: str,
        replaces: ScimToken | None = None,
    ) -> HttpResponse:
        ends = f"It ends on {_day(token.expires_at)}." if token.expires_at else "It ends when it is revoked."
        note = f"Later it is recognised by its beginning, {token.prefix}… {ends}"
        if replaces is not None:
            replaces.refresh_from_db(fields=["expires_at"])
            note += f" The old one, {replaces.prefix}…, works until {_day(replaces.expires_at)}."
        return self._shown_once(
            request,
            connection,
            title,
            [(f"SCIM token of {connection}", secret, True), ("SCIM base URL", addresses.scim_base(), False)],
            note,
        )

    def _shown_once(
        self,
        request: HttpRequest,
        connection: Connection,
        title: str,
        values: Sequence[tuple[str, str, bool]],
        note: str,
    ) -> HttpResponse:
        # The answer to this POST is the only place that ever holds the secret: no redirect, so that it waits in no
        # session, cookie or message, and nothing on the way keeps the page.
        response = TemplateResponse(
            request,
            "provisioning/admin/token.html",
            {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "original": connection,
                "title": title,
                "values": values,
                "note": note,
                "back": self.address_of(connection),
            },
        )
        response["Cache-Control"] = "no-store"
        return response


def _facts(token: ScimToken) -> list[tuple[str, Any]]:
    return [
        ("Name", token.name or "—"),
        ("May", ", ".join(token.scopes)),
        ("Last used", token.last_used_at or "never"),
        ("Ends", token.expires_at or "never"),
    ]


def _day(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC" if moment else "it is revoked"
