"""`manage.py test_login`: an address that tries a login through a connection, and what came of it."""

import time
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from identity_hub.core.clock import now
from provisioning.management.base import HubCommand, connection_named, operator, pairs, table
from saml_sp import trial
from saml_sp.models import TestLogin
from saml_sp.rehearsal import title_of


class Command(HubCommand):
    help = (
        "Prints an address that tries a login through a connection, be it a draft: open it in a browser, sign in at "
        "the identity provider, and nobody is signed in here. With --wait the report follows; it ends with 1 where a "
        "check failed."
    )

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--connection", required=True, help="Name or id.")
        parser.add_argument(
            "--wait", type=int, default=0, metavar="SECONDS", help="How long to wait for the answer."
        )

    def answer(self, **options: Any) -> dict[str, Any]:
        connection = connection_named(options["connection"])
        if not connection.idp_metadata:
            raise CommandError(f"{connection} has no IdP metadata yet.")
        row, token = trial.open_trial(connection, actor=operator())
        address = f"{settings.HUB_PUBLIC_URL}{trial.address_of(connection, token)}"
        answer: dict[str, Any] = {"address": address, "finished": False}
        if options["wait"]:
            # What it waits for is a person at a browser, so she has to see the address first.
            self.stderr.write(f"Open {answer['address']}")
            answer |= self._report(row, options["wait"])
        return answer

    def _report(self, row: TestLogin, seconds: int) -> dict[str, Any]:
        until = time.monotonic() + seconds
        while row.finished_at is None and time.monotonic() < until and row.expires_at > now():
            time.sleep(min(1.0, max(0.0, until - time.monotonic())))
            row.refresh_from_db()
        if row.finished_at is None:
            return {}
        return {"finished": True, "passed": row.passed, **row.report}

    def show(self, answer: dict[str, Any]) -> Iterator[str]:
        if not answer["finished"]:
            yield from pairs([("Open", answer["address"]), ("Good for", "an hour")])
            return
        yield "Every check passed." if answer["passed"] else "A check failed."
        yield from table(
            ["State", "Check", "Reason", "Detail"],
            [
                (
                    check["state"],
                    title_of(check["code"]),
                    check["reason"],
                    ", ".join(f"{name}: {value}" for name, value in check["detail"].items()),
                )
                for check in answer["checks"]
            ],
        )
        yield ""
        yield from table(
            ["Hub attribute", "Verdict", "Came as"],
            [(line["attribute"], line["verdict"], line["source"]) for line in answer["mapped"]],
        )
        if answer["decision"]:
            yield ""
            yield f"{answer['decision']['reason']}: {answer['decision']['meaning']}"

    def exit_code(self, answer: dict[str, Any]) -> int:
        return int(answer["finished"] and not answer["passed"])
