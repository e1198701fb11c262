"""`manage.py allow_group`: a group that logins bring gives an entitlement, or no longer does. Safe to repeat."""

from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import transaction

from provisioning.management.base import HubCommand, ask_why, connection_named, operator, pairs, tenant_named
from provisioning.models import AssertedGroup, Connection, Entitlement
from provisioning.services import configuration


class Command(HubCommand):
    help = (
        "Puts a value of the connection's group attribute on its allow-list: whoever brings it by a login holds the "
        "entitlement, which is created where it is missing. With --remove the value gives it no longer."
    )

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", required=True, help="Short name of the tenant.")
        parser.add_argument("--connection", required=True, help="Id or name of the connection.")
        parser.add_argument(
            "--group", required=True, metavar="VALUE", help="As the IdP sends it, to the letter."
        )
        parser.add_argument("--entitlement", required=True, metavar="NAME", help="Name of the entitlement.")
        parser.add_argument(
            "--attribute",
            default="",
            metavar="NAME",
            help="Assertion attribute that carries groups, if it is to change.",
        )
        parser.add_argument("--remove", action="store_true", help="Take the value off the list.")
        ask_why(parser)

    def answer(self, **options: Any) -> dict[str, Any]:
        tenant = tenant_named(options["tenant"])
        connection = connection_named(options["connection"], tenant)
        value, name = options["group"].strip(), options["entitlement"].strip()
        entitlement = Entitlement.objects.filter(tenant=tenant, name=name, kind=Entitlement.Kind.ROLE).first()
        known = AssertedGroup.objects.filter(
            tenant=tenant, connection=connection, value=value, entitlement=entitlement
        ).first()
        if options["remove"]:
            if known is None:
                raise CommandError(f"{value!r} does not give {name!r} at this connection.")
            configuration.disallow_group(row=known, actor=operator(), reason=options["reason"])
        else:
            with transaction.atomic():
                self._allow(connection, value, name, entitlement, options)
        connection.refresh_from_db()
        return {
            "connection": str(connection.pk),
            "attribute": connection.group_attribute,
            "group": value,
            "entitlement": name,
            "gives": not options["remove"],
            "changed": options["remove"] or known is None,
        }

    def _allow(
        self,
        connection: Connection,
        value: str,
        name: str,
        entitlement: Entitlement | None,
        options: dict[str, Any],
    ) -> None:
        actor, reason = operator(), options["reason"]
        if options["attribute"] and options["attribute"] != connection.group_attribute:
            configuration.change_connection(
                connection=connection,
                changes={"group_attribute": options["attribute"]},
                actor=actor,
                reason=reason,
            )
        configuration.allow_group(
            connection=connection,
            value=value,
            entitlement=entitlement
            or configuration.create_entitlement(
                tenant=connection.tenant, name=name, actor=actor, reason=reason
            ),
            actor=actor,
            reason=reason,
        )

    def show(self, answer: dict[str, Any]) -> Iterator[str]:
        yield from pairs(
            [
                ("Group", answer["group"]),
                ("gives" if answer["gives"] else "no longer gives", answer["entitlement"]),
                ("Attribute", answer["attribute"] or "none yet: name it by --attribute"),
            ]
        )
