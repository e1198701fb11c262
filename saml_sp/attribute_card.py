"""What an administrator sees of a connection's attributes: where each is read from, and how good it is."""

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest

from identity_hub.core.clock import now
from provisioning.admin.parts import Card, View
from provisioning.attributes import LABELS, rule_of
from provisioning.formats import LABELS as FORMATS
from provisioning.models import Connection
from provisioning.presets import PRESETS, Preset

from .mapping import AttributeVerdict as V
from .mapping import Rules
from .quality import Quality, quality_of
from .sign_in import rules_of

WORDS: Mapping[str, tuple[str, str]] = {
    V.OK.value: ("success", "OK"),
    V.MISSING.value: ("warning", "Missing"),
    V.MALFORMED.value: ("danger", "Malformed"),
    V.NOT_ALLOWED.value: ("danger", "Not allowed"),
    V.TOO_LONG.value: ("danger", "Too long"),
    V.AMBIGUOUS.value: ("danger", "Several values"),
}
"""Badge and word of a verdict."""


NOT_SENT = ("", "Not sent")


def verdict_rows(verdicts: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str, str, str]]:
    """(hub attribute, where it came from, badge, word) each."""
    return [
        (
            LABELS[name],
            judged["source"] or "—",
            *(NOT_SENT if judged.get("optional") else WORDS[judged["verdict"]]),
        )
        for name, judged in verdicts.items()
    ]


class AttributePart:
    views: Mapping[str, View] = {}

    def cards(self, request: HttpRequest, connection: Connection) -> list[Card]:
        rules, quality = rules_of(connection), quality_of(connection, now())
        preset = PRESETS.get(connection.preset)
        return [
            Card(
                template="saml_sp/admin/attributes.html",
                context={
                    "preset": preset,
                    "sends": _sends(preset) if preset else [],
                    "advice": preset.advice if preset and not connection.external_id_attribute else "",
                    "quality": quality,
                    "rows": _rows(rules, quality),
                },
            )
        ]


def _sends(preset: Preset) -> list[tuple[str, list[str]]]:
    """(hub attribute, names by which this product sends it) each."""
    named = {
        "name_id": [name.rpartition(":")[2] for name in preset.name_ids],
        "user_name": list(preset.user_names),
        "external_id": list(preset.keys),
        **{attribute: list(names) for attribute, names in preset.attribute_map.items()},
    }
    return [(label, named[name]) for name, label in LABELS.items() if named.get(name)]


def _rows(rules: Rules, quality: Quality) -> list[dict[str, Any]]:
    """The attributes that the connection speaks of, or that came and were not good."""
    shown = {"user_name", "external_id", *rules.asked, *quality.faults}
    return [
        {
            "label": label,
            "sources": _sources(name, rules),
            "required": name in rules.required,
            "format": _format(name, rules),
            "absent": quality.absent.get(name, 0),
            "faults": [
                (*WORDS[verdict], number) for verdict, number in sorted(quality.faults.get(name, {}).items())
            ],
        }
        for name, label in LABELS.items()
        if name in shown
    ]


def _sources(name: str, rules: Rules) -> str:
    if name == "name_id":
        return "the NameID"
    if name == "user_name":
        return rules.user_name_attribute or "the NameID"
    if name == "external_id":
        return rules.external_id_attribute or "nothing"
    return ", ".join(rules.attribute_map.get(name, ["the usual names"])) or "nothing"


def _format(name: str, rules: Rules) -> str:
    if name == "name_id":
        return ""
    rule = rule_of(name, rules.attribute_rules)
    limited = f", one of {len(rule.allowed)} values" if rule.allowed else ""
    return f"{FORMATS[rule.format]}{limited}"
