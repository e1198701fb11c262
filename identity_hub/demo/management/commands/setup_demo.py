"""A demo tenant: two connections, tokens, an administrator, and people pushed by real SCIM requests."""

import secrets
from argparse import ArgumentParser
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand
from django.test import Client

from identity_hub.core.clock import now
from identity_hub.demo import files, saml
from identity_hub.demo.dialects import Entra, Send
from provisioning.decision.types import Actor
from provisioning.models import Account, Connection, Identity, Tenant
from provisioning.selectors import tokens
from provisioning.services import configuration
from provisioning.services.tokens import issue_token

_ACTOR = Actor(kind="command", id="setup_demo")
_WHY = "Something to look at, and to try."
_ADMINISTRATOR = "demo-admin"


class Command(BaseCommand):
    help = "Sets up the demo tenant and its IdP; a second run keeps what is there. Refused in production."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--idp-url",
            default=f"http://localhost:{settings.HUB_DEMO_IDP_PORT}",
            help="where the demo IdP answers (default: %(default)s)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        files.refuse_production()
        before = files.hub()
        tenant = Tenant.objects.filter(slug=files.TENANT).first() or configuration.create_tenant(
            slug=files.TENANT, name="Demo", actor=_ACTOR, reason=_WHY, domains=[files.DOMAIN]
        )
        idp_url = options["idp_url"].rstrip("/")
        connections = [_idp_connection(tenant, idp_url), _okta_connection(tenant)]
        facts = files.Hub(
            url=settings.HUB_PUBLIC_URL,
            idp_url=idp_url,
            connections={connection.name: str(connection.pk) for connection in connections},
            tokens={connection.name: _token(connection, before) for connection in connections},
            administrator=_ADMINISTRATOR,
            administrator_password=_administrator(tenant, before),
        )
        # The tokens are shown to nobody again, so they are kept before anything else can fail.
        files.remember_hub(facts)
        _push_people(connections[0], facts.tokens[files.IDP_CONNECTION])
        self.stdout.write(f"The demo is ready: {facts.url} and {idp_url}. Facts in {files.FOLDER}.")


def _idp_connection(tenant: Tenant, idp_url: str) -> Connection:
    metadata = saml.metadata(idp_url)
    connection = Connection.objects.filter(tenant=tenant, name=files.IDP_CONNECTION).first()
    if connection is None:
        return configuration.create_connection(
            tenant=tenant,
            name=files.IDP_CONNECTION,
            actor=_ACTOR,
            reason=_WHY,
            idp_metadata=metadata,
            preset="entra-id",
            jit="create",
            status="active",
            user_name_attribute=saml.USER_NAME,
            external_id_attribute=saml.OBJECT_ID,
        )
    if connection.idp_metadata != metadata:
        connection = configuration.change_connection(
            connection=connection,
            changes={"idp_metadata": metadata},
            actor=_ACTOR,
            reason="The demo IdP answers at another address.",
            new_keys_known=True,
        )
    return connection


def _okta_connection(tenant: Tenant) -> Connection:
    """Pushes only; nobody signs in through it."""
    known = Connection.objects.filter(tenant=tenant, name=files.OKTA_CONNECTION).first()
    return known or configuration.create_connection(
        tenant=tenant, name=files.OKTA_CONNECTION, actor=_ACTOR, reason=_WHY, status="active"
    )


def _token(connection: Connection, before: files.Hub | None) -> str:
    kept = before.tokens.get(connection.name, "") if before else ""
    caller = tokens.connection_of(kept, now()) if kept else None
    if caller is not None and caller.connection_id == connection.pk:
        return kept
    _, secret = issue_token(connection=connection, actor=_ACTOR, reason=_WHY, name="demo")
    return secret


def _administrator(tenant: Tenant, before: files.Hub | None) -> str:
    known = Identity.objects.filter(tenant=tenant, login_name=_ADMINISTRATOR).first()
    if known is not None and before is not None and known.check_password(before.administrator_password):
        return before.administrator_password
    password = secrets.token_urlsafe(12)
    if known is None:
        configuration.create_local_identity(
            login_name=_ADMINISTRATOR,
            password=password,
            actor=_ACTOR,
            reason=_WHY,
            tenant=tenant,
            display_name="Demo administrator",
            tenant_administrator=True,
        )
    else:
        configuration.set_password(identity=known, password=password, actor=_ACTOR, reason=_WHY)
    return password


def _push_people(connection: Connection, token: str) -> None:
    """Once: what somebody did to the demo people since then is theirs to keep."""
    if Account.objects.filter(tenant=connection.tenant_id, connection=connection).exists():
        return
    entra = Entra(send=_in_process(token))
    pushed = {person: entra.push(person)["id"] for person in files.Directory().people() if person.assigned}
    engineers = [key for person, key in pushed.items() if person.department == files.ENGINEERING]
    entra.push_group(files.ENGINEERING, engineers)


def _in_process(token: str) -> Send:
    """Through the whole SCIM face, without a server: `make run` sets up before it starts one."""
    address = urlsplit(settings.HUB_PUBLIC_URL)
    client = Client(
        SERVER_NAME=address.hostname or "localhost",
        headers={"Authorization": f"Bearer {token}", "User-Agent": Entra.agent},
    )

    def send(method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        answer = client.generic(
            method,
            f"/scim/v2{path}",
            body or b"",
            content_type="application/scim+json",
            secure=address.scheme == "https",
        )
        return answer.status_code, answer.content

    return send
