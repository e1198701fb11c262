"""`manage.py encryption_key`: shows the keys for which a connection's IdP encrypts, makes a new one, ends the older."""

from collections.abc import Iterator
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509 import load_pem_x509_certificate
from django.core.management.base import CommandError, CommandParser

from provisioning.management.base import HubCommand, connection_named, operator, table, tenant_named
from saml_sp import encryption_keys


class Command(HubCommand):
    help = (
        "Shows the keys for which a connection's identity provider encrypts. --new makes another, which the hub's "
        "metadata names from then on; the one before still opens until --end."
    )

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--connection", required=True, help="Id, or a name that is unique.")
        parser.add_argument(
            "--tenant", default="", help="Short name of the tenant whose connection is meant."
        )
        act = parser.add_mutually_exclusive_group()
        act.add_argument("--new", action="store_true", help="Make a new key.")
        act.add_argument("--end", type=int, metavar="NUMBER", help="End the older key, of this number.")
        parser.add_argument("--reason", default="", help="Kept in the audit; needed for a change.")

    def answer(self, **options: Any) -> dict[str, Any]:
        connection = connection_named(
            options["connection"], tenant_named(options["tenant"]) if options["tenant"] else None
        )
        number, reason = options["end"], options["reason"]
        if (options["new"] or number is not None) and not reason.strip():
            raise CommandError("A change needs --reason.")
        if options["new"]:
            newest = next((row.number for row in encryption_keys.in_use(connection)), 0)
            encryption_keys.renew(connection, seen=newest, actor=operator(), reason=reason)
        elif number is not None:
            encryption_keys.end(connection, number=number, actor=operator(), reason=reason)
        keys = []
        for row in encryption_keys.in_use(connection):
            certificate = load_pem_x509_certificate(row.certificate.encode())
            keys.append(
                {
                    "number": row.number,
                    "fingerprint": certificate.fingerprint(SHA256()).hex(),
                    "made": row.created_at.isoformat(),
                    "ends": certificate.not_valid_after_utc.isoformat(),
                }
            )
        return {"id": str(connection.pk), "name": connection.name, "keys": keys}

    def show(self, answer: dict[str, Any]) -> Iterator[str]:
        if not answer["keys"]:
            yield f"{answer['name']} has none yet: it is made when the hub's metadata for it is read first."
            return
        yield from table(
            ["Number", "SHA-256", "Made", "Ends"],
            [
                (one["number"], one["fingerprint"], one["made"][:10], one["ends"][:10])
                for one in answer["keys"]
            ],
        )
