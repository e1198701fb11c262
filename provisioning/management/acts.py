"""What commands share that do one act about people: a reason, a look ahead, and how it ended."""

from collections.abc import Iterator
from typing import Any, NoReturn

from django.core.management.base import CommandError, CommandParser

from provisioning.decision.types import Decision, Outcome, Verdict
from provisioning.selectors.timeline import meaning

from .base import HubCommand, pairs


class ActCommand(HubCommand):
    """Ends with 1 where the act was refused, or would be."""

    def act_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--reason", default="", help="Kept in the audit; needed but for --dry-run.")
        parser.add_argument(
            "--dry-run", action="store_true", help="Says what would follow, and writes nothing."
        )

    def reason(self, options: dict[str, Any]) -> str:
        reason = str(options["reason"]).strip()
        if not reason:
            self.refuse("Please say why (--reason).")
        return reason

    def refuse(self, sentence: str) -> NoReturn:
        raise CommandError(sentence)

    def foreseen(self, decision: Decision, **about: Any) -> dict[str, Any]:
        changes = [type(change).__name__ for change in decision.changes]
        verdict = decision.verdict
        return about | _ended(verdict, decision.reason) | {"dry_run": True, "changes": changes}

    def done(self, outcome: Outcome, **about: Any) -> dict[str, Any]:
        return about | _ended(outcome.verdict, outcome.reason) | {"dry_run": False}

    def show(self, answer: dict[str, Any]) -> Iterator[str]:
        told = {name: value for name, value in answer.items() if name not in ("meaning", "reason", "dry_run")}
        yield from pairs(
            [
                ("Would be" if answer["dry_run"] else "Outcome", f"{answer['reason']}: {answer['meaning']}"),
                *((name.replace("_", " ").capitalize(), _plain(value)) for name, value in told.items()),
            ]
        )

    def exit_code(self, answer: dict[str, Any]) -> int:
        return 0 if answer["accepted"] else 1


def _ended(verdict: Verdict, reason: str) -> dict[str, Any]:
    accepted = verdict in (Verdict.APPLIED, Verdict.UNCHANGED)
    return {"accepted": accepted, "reason": reason, "meaning": meaning(reason)}


def _plain(value: Any) -> str:
    match value:
        case dict():
            return ", ".join(f"{name}: {_plain(one)}" for name, one in value.items()) or "nothing"
        case list():
            return ", ".join(map(str, value)) or "nothing"
        case bool():
            return "yes" if value else "no"
    return str(value)
