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
        parser.add_argument(
            "--take-over",
            action="store_true",
            help="Set the connection up as the hub proposes for the product that is recognised; then try again.",
        )
        parser.add_argument("--reason", default="", help="Why; kept in the audit. Needed for --take-over.")

    def answer(self, **options: Any) -> dict[str, Any]:
        connection = connection_named(options["connection"])
        if options["take_over"] and not options["wait"]:
            raise CommandError("--take-over needs --wait: what is proposed follows from the answer.")
        if options["take_over"] and not options["reason"].strip():
            raise CommandError(
                "--take-over needs --reason: nobody is there to be asked when the answer comes."
            )
        if not connection.idp_metadata:
            raise CommandError(f"{connection} has no IdP metadata yet.")
        row, token = trial.open_trial(connection, actor=operator())
        address = f"{settings.HUB_PUBLIC_URL}{trial.address_of(connection, token)}"
        answer: dict[str, Any] = {"address": address, "finished": False}
        if options["wait"]:
            # What it waits for is a person at a browser, so she has to see the address first.
            self.stderr.write(f"Open {answer['address']}")
            answer |= self._report(row, options["wait"])
        if options["take_over"] and answer["finished"]:
            answer["taken_over"] = bool(row.report["preset"].get("changes"))
            if answer["taken_over"]:
                trial.take_over(row, reason=options["reason"], actor=operator())
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
        if preset := answer["preset"]:
            yield ""
            yield from _product(preset, taken_over=answer.get("taken_over", False))

    def exit_code(self, answer: dict[str, Any]) -> int:
        return int(answer["finished"] and not answer["passed"])


def _product(preset: dict[str, Any], *, taken_over: bool) -> Iterator[str]:
    yield f"{preset['title']}, by {', '.join(preset['marks'])}. {preset['advice']}"
    if not preset["changes"]:
        yield "The connection is set up as the hub proposes for it."
        return
    yield from table(["Setting", "Taken over" if taken_over else "Proposed"], preset["changes"].items())
    yield (
        "Try it once more." if taken_over else "Take it over by --take-over and --reason, or set it by hand."
    )
