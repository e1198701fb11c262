"""`manage.py override_attribute`: what an identity shows, said by an operator."""

from argparse import ArgumentTypeError
from datetime import date, datetime
from typing import Any

from django.core.management.base import CommandParser

from identity_hub.core.clock import end_of
from provisioning.decision.authority import OVERRIDABLE
from provisioning.management.acts import ActCommand
from provisioning.management.base import operator, tenant_named
from provisioning.management.lookup import identity_named
from provisioning.selectors.overrides import live_of
from provisioning.services import overrides


def _day(text: str) -> datetime:
    try:
        return end_of(date.fromisoformat(text))
    except ValueError:
        raise ArgumentTypeError("A day, like 2026-12-31.") from None


class Command(ActCommand):
    help = (
        "Shows an identity otherwise than its sources say, until the end of a day; or, with --end, as they say again. "
        "No account changes, and nobody is recognised by what is shown."
    )

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("identity", help="Id, userName, e-mail or an old name.")
        parser.add_argument("attribute", choices=OVERRIDABLE)
        parser.add_argument("value", nargs="?", default="", help="What is shown; left out with --end.")
        parser.add_argument("--until", type=_day, help="The last day (UTC), at most a year away.")
        parser.add_argument("--end", action="store_true", help="End the override that there is.")
        parser.add_argument("--tenant", default="", help="Look in this tenant only.")
        self.act_arguments(parser)

    def answer(self, **options: Any) -> dict[str, Any]:
        tenant = tenant_named(options["tenant"]) if options["tenant"] else None
        identity = identity_named(options["identity"], tenant)
        if identity.tenant_id is None:
            self.refuse("An installation superuser has no sources.")
        attribute = options["attribute"]
        about = {"identity": str(identity.pk), "attribute": attribute}
        if options["end"]:
            row = live_of(identity).get(attribute)
            if row is None or options["value"]:
                self.refuse("This is not overridden." if row is None else "--end takes no value.")
            if options["dry_run"]:
                return self.foreseen(overrides.foresee_end(override=row, actor=operator()), **about)
            return self.done(
                overrides.end(override=row, reason=self.reason(options), actor=operator()), **about
            )
        if options["until"] is None:
            self.refuse("Please say until when (--until).")
        said = {
            "identity": identity,
            "attribute": attribute,
            "value": options["value"],
            "until": options["until"],
            "actor": operator(),
        }
        about["until"] = options["until"].isoformat()
        if options["dry_run"]:
            return self.foreseen(overrides.foresee(**said), **about)
        return self.done(overrides.override(**said, reason=self.reason(options)), **about)
