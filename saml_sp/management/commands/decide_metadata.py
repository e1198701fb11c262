"""`manage.py decide_metadata`: confirms or rejects the metadata that froze a connection."""

from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandError, CommandParser

from provisioning.management.base import HubCommand, connection_named, operator, tenant_named
from provisioning.services import metadata
from provisioning.services.name_ids import NameIds


class Command(HubCommand):
    help = (
        "Decides about metadata that names another entityID or only unknown keys: --confirm takes it, --reject keeps "
        "the old; either way people sign in again. Without either it shows what waits."
    )

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--connection", required=True, help="Id, or a name that is unique.")
        parser.add_argument(
            "--tenant", default="", help="Short name of the tenant whose connection is meant."
        )
        decision = parser.add_mutually_exclusive_group()
        decision.add_argument(
            "--confirm",
            metavar="DIGEST",
            help="Take the document of this digest, which the command shows without a decision.",
        )
        decision.add_argument("--reject", action="store_true", help="Throw the document away.")
        parser.add_argument(
            "--new-name-ids",
            action="store_true",
            help="With another entityID: its NameIDs are new, and people are recognised by externalId or userName. "
            "Default: people keep their NameIDs.",
        )
        parser.add_argument("--reason", default="", help="Kept in the audit; needed for a decision.")

    def answer(self, **options: Any) -> dict[str, Any]:
        tenant = tenant_named(options["tenant"]) if options["tenant"] else None
        connection = connection_named(options["connection"], tenant)
        decided = bool(options["confirm"] or options["reject"])
        if decided and not options["reason"].strip():
            raise CommandError("A decision needs --reason.")
        proposed = metadata.proposed_idp(connection)
        if proposed is None:
            raise CommandError(f"No metadata waits for a decision at {connection.name}.")
        digest = metadata.proposal_digest(connection)
        waiting = {
            "digest": digest,
            "people_bound": metadata.people_bound(connection, proposed),
            "idp_entity_id": proposed.entity_id,
            "certificates": [
                {"subject": one.subject, "fingerprint": one.fingerprint, "ends": one.ends.isoformat()}
                for one in proposed.certificates
            ],
        }
        if options["confirm"]:
            metadata.confirm(
                connection=connection,
                reason=options["reason"],
                seen=options["confirm"],
                actor=operator(),
                name_ids=NameIds.NEW if options["new_name_ids"] else NameIds.KEPT,
            )
        elif options["reject"]:
            metadata.reject(connection=connection, reason=options["reason"], seen=digest, actor=operator())
        return {
            "id": str(connection.pk),
            "name": connection.name,
            "status": connection.status,
            "decision": "confirmed" if options["confirm"] else "rejected" if options["reject"] else None,
            "proposed": waiting,
        }

    def show(self, answer: dict[str, Any]) -> Iterator[str]:
        proposed = answer["proposed"]
        yield f"{answer['name']} is {answer['status']}."
        yield f"The new metadata is {answer['decision'] or 'waiting'}: {proposed['idp_entity_id']}"
        for one in proposed["certificates"]:
            yield f"  {one['subject']} until {one['ends'][:10]}, SHA-256 {one['fingerprint']}"
        if not answer["decision"] and (people := proposed["people_bound"]):
            yield f"NameIDs of the old entityID that stay bound, unless --new-name-ids is given: {people}"
        if not answer["decision"]:
            yield f"--confirm {proposed['digest']} takes it."
