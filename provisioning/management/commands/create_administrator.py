"""`manage.py create_administrator`: somebody who may enter the admin. Safe to repeat."""

import secrets
from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandError, CommandParser

from identity_hub.settings import env
from provisioning.management.base import HubCommand, ask_why, operator, pairs, tenant_named
from provisioning.models import Identity, Tenant
from provisioning.services import configuration


class Command(HubCommand):
    help = (
        "Creates a local administrator: of one tenant with --tenant, else of the installation. Who is there "
        "already is left alone. Without --password-env a password is made up and printed once."
    )

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--user-name", required=True, help="Name to sign in with.")
        parser.add_argument(
            "--password-env", metavar="VAR", help="Environment variable that holds the password."
        )
        parser.add_argument("--tenant", default="", help="Short name of the tenant to administer.")
        ask_why(parser)

    def answer(self, **options: Any) -> dict[str, Any]:
        tenant = tenant_named(options["tenant"]) if options["tenant"] else None
        name = options["user_name"].strip()
        if known := Identity.objects.filter(login_name=name).first():
            return _present(known, tenant)
        given = _from_environment(options["password_env"]) if options["password_env"] else None
        password = given or secrets.token_urlsafe(18)
        identity = configuration.create_local_identity(
            login_name=name,
            password=password,
            tenant=tenant,
            superuser=tenant is None,
            tenant_administrator=tenant is not None,
            actor=operator(),
            reason=options["reason"],
        )
        told = {
            "created": True,
            "id": str(identity.pk),
            "user_name": name,
            "tenant": tenant.slug if tenant else None,
        }
        # Only what nobody else knows is printed; a given password is known already.
        return told if given else told | {"password": password}

    def show(self, answer: dict[str, Any]) -> Iterator[str]:
        if not answer["created"]:
            yield f"{answer['user_name']} is there already."
            return
        yield from pairs(
            [
                ("Administrator", answer["user_name"]),
                ("Of", answer["tenant"] or "the installation"),
                *([("Password (shown once)", answer["password"])] if "password" in answer else []),
            ]
        )


def _present(known: Identity, tenant: Tenant | None) -> dict[str, Any]:
    asked = known.is_tenant_administrator if tenant else known.is_superuser
    if not asked or known.tenant_id != (tenant.pk if tenant else None):
        raise CommandError(
            f"{known.login_name} is there, but does not administer {tenant or 'the installation'}."
        )
    return {
        "created": False,
        "id": str(known.pk),
        "user_name": known.login_name,
        "tenant": tenant.slug if tenant else None,
    }


def _from_environment(name: str) -> str:
    password = env.get(name, "")
    if not password:
        raise CommandError(f"The environment variable {name} is not set.")
    return password
