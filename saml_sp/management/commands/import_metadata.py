"""`manage.py import_metadata`: gives a connection its IdP's metadata, from a file or an address."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from provisioning.management.base import HubCommand, ask_why, connection_named, operator, pairs, tenant_named
from provisioning.services.metadata import known_idp
from provisioning.services.name_ids import NameIds
from saml_sp import metadata

SAID = {
    metadata.Taken.UNCHANGED: "Nothing has changed.",
    metadata.Taken.TAKEN: "The new metadata is in use.",
    metadata.Taken.FROZEN: "The connection is frozen: confirm or reject the new metadata.",
}


class Command(HubCommand):
    help = (
        "Imports the SAML metadata of a connection's identity provider. A document with another entityID, or with none "
        "of the known keys, is taken for an active connection only with --new-keys-known."
    )

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("source", metavar="FILE_OR_URL")
        parser.add_argument("--connection", required=True, help="Id, or a name that is unique.")
        parser.add_argument(
            "--tenant", default="", help="Short name of the tenant whose connection is meant."
        )
        parser.add_argument(
            "--certificate",
            metavar="FILE",
            help="PEM; from now on a document counts only if one of these signed it. Default: as it is set.",
        )
        parser.add_argument("--follow", action="store_true", help="Read the address every hour from now on.")
        parser.add_argument(
            "--new-keys-known",
            action="store_true",
            help="You have compared the new entityID or keys with the identity provider.",
        )
        parser.add_argument(
            "--new-name-ids",
            action="store_true",
            help="With another entityID: its NameIDs are new, and people are recognised by externalId or userName. "
            "Default: people keep their NameIDs.",
        )
        ask_why(parser)

    def answer(self, **options: Any) -> dict[str, Any]:
        tenant = tenant_named(options["tenant"]) if options["tenant"] else None
        connection = connection_named(options["connection"], tenant)
        source, certificates = options["source"], connection.metadata_signing_certificates
        if options["follow"] and "://" not in source:
            raise CommandError("--follow needs an address.")
        if options["certificate"]:
            certificates = _text_of(options["certificate"])
        read = metadata.from_address if "://" in source else metadata.from_file
        outcome = metadata.take(
            connection,
            read(source, certificates),
            actor=operator(),
            reason=options["reason"],
            confirmed=options["new_keys_known"],
            name_ids=NameIds.NEW if options["new_name_ids"] else NameIds.KEPT,
            url=source if options["follow"] else None,
            certificates=certificates,
        )
        idp = known_idp(connection)
        return {
            "id": str(connection.pk),
            "name": connection.name,
            "outcome": outcome.value,
            "follows": connection.metadata_url or None,
            "idp_entity_id": connection.idp_entity_id,
            "certificates": [
                {"subject": one.subject, "fingerprint": one.fingerprint, "ends": one.ends.isoformat()}
                for one in (idp.certificates if idp else ())
            ],
            "left_out": list(idp.left_out if idp else ()),
        }

    def show(self, answer: dict[str, Any]) -> Iterator[str]:
        yield SAID[metadata.Taken(answer["outcome"])]
        yield from pairs(
            [
                ("Connection", answer["name"]),
                ("IdP", answer["idp_entity_id"]),
                ("Follows", answer["follows"] or "no address"),
                *(
                    (
                        "Certificate",
                        f"{one['subject']} until {one['ends'][:10]}, SHA-256 {one['fingerprint']}",
                    )
                    for one in answer["certificates"]
                ),
                *(("Left out", sentence) for sentence in answer["left_out"]),
            ]
        )


def _text_of(file: str) -> str:
    try:
        return Path(file).read_text(encoding="ascii")
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise CommandError(f"{file} is no certificate in PEM form.") from None
