"""A form field that is a table: a row for each attribute of the hub, with its sources, its need and its format."""

from collections.abc import Mapping
from typing import Any

import orjson
from django import forms
from unfold.widgets import CHECKBOX_CLASSES, UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget

from provisioning import attributes
from provisioning.attributes import DEFAULT_NAMES, LABELS
from provisioning.formats import LABELS as FORMATS

FIELDS = ("attribute_map", "attribute_rules", "required_attributes")
"""What of a connection the table shows and changes."""
NOT_READ = "-"
ROWS = ("user_name", "external_id", *DEFAULT_NAMES)


def lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


class AttributeTable(forms.Widget):
    template_name = "provisioning/admin/attribute_table.html"
    use_fieldset = True

    def id_for_label(self, id_: str) -> str:
        return ""

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        return f"{name}-email-format" not in data

    def value_from_datadict(self, data: Any, files: Any, name: str) -> dict[str, Any] | None:
        if self.value_omitted_from_data(data, files, name):
            return None
        attribute_map, attribute_rules, required = {}, {}, []
        for attribute in ROWS:
            sources = lines(data.get(f"{name}-{attribute}-sources", ""))
            if sources:
                attribute_map[attribute] = [] if sources == [NOT_READ] else sources
            if data.get(f"{name}-{attribute}-required"):
                required.append(attribute)
            asked = {
                "format": data.get(f"{name}-{attribute}-format", ""),
                "allowed": lines(data.get(f"{name}-{attribute}-allowed", "")),
            }
            if rule := {what: said for what, said in asked.items() if said}:
                attribute_rules[attribute] = rule
        return {
            "attribute_map": attribute_map,
            "attribute_rules": attribute_rules,
            "required_attributes": required,
        }

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        context["rows"] = [_row(name, attribute, value or {}) for attribute in ROWS]
        return context


def _row(name: str, attribute: str, value: Mapping[str, Any]) -> dict[str, Any]:
    label = LABELS[attribute]
    rule = value.get("attribute_rules", {}).get(attribute, {})
    sources = value.get("attribute_map", {}).get(attribute)
    mapped = attribute in DEFAULT_NAMES
    usual = FORMATS[attributes.format_of(attribute)]
    return {
        "label": label,
        "sources": _area(
            f"{name}-{attribute}-sources",
            "\n".join(sources or [NOT_READ]) if sources is not None else "",
            f"{label}: read from",
            "the usual names",
        )
        if mapped
        else "",
        "required": forms.CheckboxInput(attrs={"class": " ".join(CHECKBOX_CLASSES)}).render(
            f"{name}-{attribute}-required",
            attribute in value.get("required_attributes", ()),
            {"aria-label": f"{label}: required"},
        )
        if mapped
        else "",
        "format": UnfoldAdminSelectWidget(
            choices=[("", f"{usual} (usual)"), *((one.value, told) for one, told in FORMATS.items())]
        ).render(f"{name}-{attribute}-format", rule.get("format", ""), {"aria-label": f"{label}: format"}),
        "allowed": _area(
            f"{name}-{attribute}-allowed",
            "\n".join(rule.get("allowed", ())),
            f"{label}: allowed values",
            "any",
        ),
    }


def _area(name: str, text: str, label: str, placeholder: str) -> str:
    rows = min(max(1, text.count("\n") + 1), 6)
    widget = UnfoldAdminTextareaWidget(attrs={"rows": rows, "cols": 30, "placeholder": placeholder})
    return str(widget.render(name, text, {"aria-label": label}))


class _Shown(forms.HiddenInput):
    """What the table showed, for the page to remember."""

    def format_value(self, value: Any) -> str:
        return value if isinstance(value, str) else orjson.dumps(value).decode()


class AttributesField(forms.Field):
    """Its value is a mapping of FIELDS; None where the table was not part of what came."""

    widget = AttributeTable
    hidden_widget = _Shown

    def to_python(self, value: Any) -> Any:
        """Of what the page remembers, which anybody can send otherwise."""
        try:
            shown = orjson.loads(value or "{}")
            _compared(shown)
        except (orjson.JSONDecodeError, AttributeError, TypeError):
            raise forms.ValidationError("This is no table of attributes.") from None
        return shown

    def clean(self, value: Any) -> Any:
        if value is None:
            return None
        # What an administrator reads names the attribute as the table does.
        try:
            return {
                **value,
                "attribute_map": attributes.checked_map(value["attribute_map"]),
                "attribute_rules": attributes.checked_rules(value["attribute_rules"]),
            }
        except attributes.Wrong as wrong:
            raise forms.ValidationError(str(wrong)) from None

    def has_changed(self, initial: Any, data: Any) -> bool:
        return data is not None and _compared(initial or {}) != _compared(data)


def _compared(value: Mapping[str, Any]) -> tuple[Any, Any, frozenset[str]]:
    """The order of the required ones says nothing, and userName is always."""
    required = frozenset(value.get("required_attributes", ())) - {"user_name"}
    return value.get("attribute_map", {}), value.get("attribute_rules", {}), required
