"""`manage.py define_schema`: a tenant's own SCIM attributes, from a Schema document; without one, what there is."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from provisioning.management.base import HubCommand, operator, table, tenant_named
from provisioning.models import SchemaExtension, Tenant
from provisioning.selectors import schemas as stored
from provisioning.services import schemas
from provisioning.services.definitions import definition_of

MAX_BYTES = 1024 * 1024


class Command(HubCommand):
    help = (
        "Defines or changes a SCIM schema extension of a tenant from a Schema document (RFC 7643 7), in force with the "
        "next request. An attribute may be added, relaxed, or removed with its values; its type, multiplicity and case "
        "rule stay. Without a file: lists the tenant's extensions, or prints one of them with --export."
    )

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("tenant", help="Short name of the tenant.")
        parser.add_argument("file", nargs="?", default="", help="A Schema document, as JSON.")
        parser.add_argument(
            "--resource",
            choices=SchemaExtension.Resource.values,
            help="Which resources it extends (default: what it extends already, else User).",
        )
        parser.add_argument(
            "--required",
            action="store_true",
            help="Every POST and PUT must carry it. Without the option it is optional.",
        )
        parser.add_argument(
            "--export", default="", metavar="URN", help="Print the document of one extension."
        )
        parser.add_argument(
            "--remove",
            default="",
            metavar="URN",
            help="Remove an extension and all that resources hold of it.",
        )
        parser.add_argument(
            "--reason", default="", help="Why; kept in the audit. Needed to define and to remove."
        )

    def answer(self, **options: Any) -> dict[str, Any]:
        tenant = tenant_named(options["tenant"])
        if sum(bool(options[name]) for name in ("file", "export", "remove")) > 1:
            raise CommandError("Give a file, --export or --remove, one of them.")
        if options["file"]:
            return self._define(tenant, options)
        if options["export"]:
            return _named(tenant, options["export"]).document
        if options["remove"]:
            one = _named(tenant, options["remove"])
            schemas.remove(
                extension=SchemaExtension.objects.get(tenant=tenant, pk=one.id),
                actor=operator(),
                reason=options["reason"],
            )
            return {"removed": one.document["id"], "tenant": tenant.slug}
        return {"tenant": tenant.slug, "extensions": [_told(one) for one in stored.extensions_of(tenant.pk)]}

    def _define(self, tenant: Tenant, options: dict[str, Any]) -> dict[str, Any]:
        document = _read(options["file"])
        urn = document.get("id") if isinstance(document, dict) else None
        known = next((one for one in stored.extensions_of(tenant.pk) if _same(one, urn)), None)
        extension = schemas.define(
            tenant=tenant,
            definition=definition_of(
                document,
                resource=options["resource"] or (known.resource if known else SchemaExtension.Resource.USER),
                required=options["required"],
            ),
            actor=operator(),
            reason=options["reason"],
        )
        return {"tenant": tenant.slug, **_told(_named(tenant, extension.urn))}

    def show(self, answer: dict[str, Any]) -> Iterator[str]:
        if "removed" in answer:
            yield f"{answer['removed']} is gone, with all that resources held of it."
        elif "extensions" not in answer and "urn" not in answer:
            yield json.dumps(answer, indent=2, ensure_ascii=False)
        elif found := answer.get("extensions", [answer]):
            yield from table(
                ("Extends", "URN", "Required", "Attributes"),
                [
                    (
                        one["resource"],
                        one["urn"],
                        "yes" if one["required"] else "no",
                        ", ".join(one["attributes"]),
                    )
                    for one in found
                ],
            )
        else:
            yield "This tenant has no schema extension of its own."


def _read(name: str) -> Any:
    try:
        with Path(name).open("rb") as file:
            body = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise CommandError(f"{name} cannot be read: {error.strerror}.") from None
    if len(body) > MAX_BYTES:
        raise CommandError(f"{name} is larger than {MAX_BYTES // 1024} KiB.")
    try:
        return json.loads(body)
    except ValueError as error:
        raise CommandError(f"{name} is not JSON: {error}.") from None


def _same(one: stored.ExtensionDocument, urn: object) -> bool:
    return isinstance(urn, str) and one.document["id"].lower() == urn.strip().lower()


def _named(tenant: Tenant, urn: str) -> stored.ExtensionDocument:
    for one in stored.extensions_of(tenant.pk):
        if _same(one, urn):
            return one
    raise CommandError(f"{tenant} has no schema extension {urn!r}.")


def _told(one: stored.ExtensionDocument) -> dict[str, Any]:
    return {
        "urn": one.document["id"],
        "name": one.document["name"],
        "resource": one.resource,
        "required": one.required,
        "attributes": [raw["name"] for raw in one.document["attributes"]],
    }
