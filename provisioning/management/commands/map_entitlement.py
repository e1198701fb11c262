"""`manage.py map_entitlement`: a directory group gives its members an entitlement. Safe to repeat."""

from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import transaction

from identity_hub.core.clock import now
from provisioning.decision.keys import fold
from provisioning.decision.types import GroupObservation, Intent
from provisioning.management.base import HubCommand, ask_why, connection_named, operator, pairs, tenant_named
from provisioning.models import Connection, DirectoryGroup, Entitlement, EntitlementMapping, Tenant
from provisioning.services import configuration
from provisioning.services.groups import submit_group


class Command(HubCommand):
    help = (
        "Maps a directory group to an entitlement of the tenant; creates either where it is missing. A group that "
        "is created here is found by the IdP by its displayName."
    )

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", required=True, help="Short name of the tenant.")
        parser.add_argument(
            "--connection", required=True, help="Id or name of the connection that has the group."
        )
        parser.add_argument("--group", required=True, metavar="NAME", help="displayName of the group.")
        parser.add_argument("--entitlement", required=True, metavar="NAME", help="Name of the entitlement.")
        ask_why(parser)

    def answer(self, **options: Any) -> dict[str, Any]:
        tenant = tenant_named(options["tenant"])
        connection = connection_named(options["connection"], tenant)
        with transaction.atomic():
            group = _group(connection, options["group"].strip())
            entitlement = _entitlement(tenant, options["entitlement"].strip(), options["reason"])
            known = EntitlementMapping.objects.filter(
                tenant=tenant, entitlement=entitlement, group=group
            ).exists()
            mapping = configuration.map_entitlement(
                entitlement=entitlement, group=group, actor=operator(), reason=options["reason"]
            )
        return {
            "created": not known,
            "id": str(mapping.pk),
            "group": {"id": str(group.pk), "name": group.display_name},
            "entitlement": {"id": str(entitlement.pk), "name": entitlement.name},
        }

    def show(self, answer: dict[str, Any]) -> Iterator[str]:
        yield from pairs(
            [
                ("Group", f"{answer['group']['name']} ({answer['group']['id']})"),
                ("gives", f"{answer['entitlement']['name']} ({answer['entitlement']['id']})"),
                ("Mapping", answer["id"] if answer["created"] else f"{answer['id']}, there already"),
            ]
        )


def _group(connection: Connection, name: str) -> DirectoryGroup:
    if not name:
        raise CommandError("A group has a name.")
    rows = DirectoryGroup.objects.filter(tenant_id=connection.tenant_id, connection=connection)
    found = list(rows.filter(display_name_key=fold(name))[:2])
    if len(found) > 1:
        raise CommandError(f"Several groups of this connection are named {name!r}.")
    if found:
        return found[0]
    outcome = submit_group(
        GroupObservation(
            intent=Intent.CREATE,
            tenant_id=connection.tenant_id,
            connection_id=connection.pk,
            at=now(),
            actor=operator(),
            display_name=name,
        )
    )
    return rows.get(pk=outcome.account_id)


def _entitlement(tenant: Tenant, name: str, reason: str) -> Entitlement:
    known = Entitlement.objects.filter(tenant=tenant, name=name, kind=Entitlement.Kind.ROLE).first()
    return known or configuration.create_entitlement(
        tenant=tenant, name=name, actor=operator(), reason=reason
    )
