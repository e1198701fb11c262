"""`manage.py posture`: what of a tenant's people is looked after, and what is not."""

from collections.abc import Iterator
from textwrap import wrap
from typing import Any

from django.core.management.base import CommandParser

from identity_hub.core.clock import now
from provisioning.decision.posture import Cover
from provisioning.management.base import HubCommand, tenant_named
from provisioning.selectors import posture

_WORDS = {Cover.COVERED: "covered", Cover.NOT_COVERED: "NOT COVERED", Cover.CANNOT_SAY: "cannot say"}
_INDENT = 13


class Command(HubCommand):
    help = "Says what is covered and what is not. Ends with 1 while something is not."

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", required=True, help="Short name.")

    def answer(self, **options: Any) -> dict[str, Any]:
        tenant, at = tenant_named(options["tenant"]), now()
        return {"tenant": tenant.slug, **posture.as_document(posture.posture(tenant.pk, at), at)}

    def show(self, answer: dict[str, Any]) -> Iterator[str]:
        yield (
            f"{answer['tenant']}: {answer['not_covered']} not covered, {answer['cannot_say']} cannot say, "
            f"{answer['covered']} covered"
        )
        for one in answer["measures"]:
            verdict = Cover(one["verdict"])
            yield ""
            yield f"{_WORDS[verdict]:<{_INDENT}}{one['question']}"
            named = ", ".join(case["name"] for case in one["cases"])
            said = [one["sentence"]] if verdict is Cover.COVERED else [one["sentence"], f"-> {one['remedy']}"]
            if named:
                said.insert(1, named)
            for sentence in said:
                for line in wrap(sentence, 100):
                    yield " " * _INDENT + line

    def exit_code(self, answer: dict[str, Any]) -> int:
        return int(answer["not_covered"] > 0)
