"""`manage.py create_connection`: an identity provider of a tenant, as a draft."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import transaction

from identity_hub.core import outbound
from provisioning import addresses
from provisioning.decision.policy import Jit
from provisioning.management.base import HubCommand, operator, pairs, tenant_named
from provisioning.presets import PRESETS
from provisioning.selectors import connections
from provisioning.services import configuration, setup

MAX_METADATA = 2 * 1024 * 1024


class Command(HubCommand):
    help = (
        "Creates a connection to an identity provider and prints the addresses to enter there. It is a draft, which "
        "takes pushes and test logins and admits nobody; activate_connection puts it into use. A domain that you name "
        "counts as verified. Without --domain it may speak for all domains of the tenant."
    )

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", required=True, help="Short name of the tenant.")
        parser.add_argument("--name", required=True, help="Name that administrators read.")
        parser.add_argument(
            "--idp-metadata",
            default="",
            metavar="FILE_OR_URL",
            help="The IdP's SAML metadata. An address is read again every hour.",
        )
        parser.add_argument(
            "--jit",
            choices=[mode.value for mode in Jit],
            default=Jit.OFF.value,
            help="What a first login may do: nothing, find existing people, or create an account (default: off).",
        )
        parser.add_argument(
            "--preset",
            choices=list(PRESETS),
            default="",
            help="The product: sets the attributes that it sends.",
        )
        parser.add_argument(
            "--external-id-attribute", default="", help="Assertion attribute that equals the SCIM externalId."
        )
        parser.add_argument(
            "--user-name-attribute", default="", help="Assertion attribute that equals the SCIM userName."
        )
        parser.add_argument("--domain", action="append", help="E-mail domain it speaks for; may be repeated.")
        parser.add_argument(
            "--activate",
            metavar="REASON",
            default="",
            help="Put it into use untested: the reason is kept with every item of its readiness list that is open.",
        )
        parser.add_argument(
            "--reason", default="", help="Why; kept in the audit. Needed unless --activate says it."
        )

    def answer(self, **options: Any) -> dict[str, Any]:
        tenant, actor = tenant_named(options["tenant"]), operator()
        reason = options["reason"] or options["activate"]
        metadata = _read(options["idp_metadata"]) if options["idp_metadata"] else ""
        domains = options["domain"]
        with transaction.atomic():
            for domain in domains or ():
                configuration.add_domain(
                    tenant=tenant, domain=domain, how="operator", actor=actor, reason=reason
                )
            connection = configuration.create_connection(
                tenant=tenant,
                name=options["name"],
                jit=options["jit"],
                domains=domains,
                actor=actor,
                reason=reason,
                idp_metadata=metadata,
                metadata_url=options["idp_metadata"] if "://" in options["idp_metadata"] else "",
                preset=options["preset"],
                external_id_attribute=options["external_id_attribute"],
                user_name_attribute=options["user_name_attribute"],
            )
            if untested := options["activate"]:
                connection = setup.activate_untested(connection=connection, actor=actor, reason=untested)
        return {
            "id": str(connection.pk),
            "name": connection.name,
            "tenant": tenant.slug,
            "status": connection.status,
            "jit": connection.jit,
            "preset": connection.preset or None,
            "user_name_attribute": connection.user_name_attribute,
            "external_id_attribute": connection.external_id_attribute,
            "domains": sorted(connections.granted_domains(connection)),
            "idp_entity_id": connection.idp_entity_id,
            "scim_base_url": addresses.scim_base(),
            "sp_entity_id": addresses.saml_metadata(connection.pk),
            "acs_url": addresses.saml_acs(connection.pk),
            "metadata_url": addresses.saml_metadata(connection.pk),
        }

    def show(self, answer: dict[str, Any]) -> Iterator[str]:
        yield from pairs(
            [
                ("Connection", f"{answer['name']} ({answer['status']})"),
                ("Id", answer["id"]),
                ("Domains", ", ".join(answer["domains"]) or "none"),
                ("JIT", answer["jit"]),
                ("IdP", answer["idp_entity_id"] or "no metadata yet"),
                ("Preset", answer["preset"] or "none"),
                ("externalId from", answer["external_id_attribute"] or "a persistent NameID"),
                ("SCIM base URL", answer["scim_base_url"]),
                ("SP entityID", answer["sp_entity_id"]),
                ("ACS", answer["acs_url"]),
                ("Metadata URL", answer["metadata_url"]),
            ]
        )


def _read(source: str) -> str:
    """A URL or a file, as text."""
    if "://" in source:
        try:
            body = outbound.fetch(source, max_bytes=MAX_METADATA).body
        except outbound.Refused as error:
            raise CommandError(str(error)) from None
    else:
        try:
            with Path(source).open("rb") as file:
                body = file.read(MAX_METADATA + 1)
        except OSError as error:
            raise CommandError(f"{source} cannot be read: {error.strerror}.") from None
        if len(body) > MAX_METADATA:
            raise CommandError(f"{source} is larger than {MAX_METADATA // 1024} KiB.")
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise CommandError("The IdP metadata is not UTF-8 text.") from None
