"""The small questions that acts of an administrator ask. Knows no service."""

from typing import Any

from django import forms
from django.forms.fields import InvalidJSONInput
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from identity_hub.core.text import all_keepable
from provisioning.decision.keys import has_something_to_see


class ReasonField(forms.CharField):
    """Nothing changes without a reason on record."""

    def __init__(self, **options: Any) -> None:
        options = {
            "max_length": 500,
            "widget": UnfoldAdminTextInputWidget,
            "label": "Reason",
            "help_text": "Kept in the audit for good. Please write no personal details.",
        } | options
        super().__init__(**options)

    def validate(self, value: str) -> None:
        super().validate(value if has_something_to_see(value) else "")


class LongOpenForm(forms.ModelForm):
    """Of a page that may stay open while somebody else changes the row: what its reader left alone stays as it is by
    now, for the page itself remembers what it showed."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        if not self.instance._state.adding:
            for field in self.fields.values():
                field.show_hidden_initial = not isinstance(field, ReasonField)


class ReasonForm(forms.Form):
    reason = ReasonField(widget=UnfoldAdminTextareaWidget(attrs={"rows": 3, "autofocus": True}))


class HoldForm(ReasonForm):
    kind = forms.ChoiceField(
        widget=UnfoldAdminSelectWidget,
        choices=[("admin", "Administrative"), ("security", "Security")],
        help_text="No directory and no login can lift either; only an administrator can.",
    )
    field_order = ["kind", "reason"]


class LiftForm(ReasonForm):
    kind = forms.ChoiceField(widget=UnfoldAdminSelectWidget, label="Hold")
    field_order = ["kind", "reason"]

    def __init__(self, *arguments: object, kinds: list[tuple[str, str]], **options: object) -> None:
        super().__init__(*arguments, **options)
        self.fields["kind"].choices = kinds


class LinesField(forms.CharField):
    """A list of texts, one a line: some of them (names of groups in a directory) have commas."""

    widget = UnfoldAdminTextareaWidget(attrs={"rows": 4})

    def to_python(self, value: object) -> list[str]:
        lines = (line.strip() for line in super().to_python(value).splitlines())
        return list(dict.fromkeys(line for line in lines if line))

    def prepare_value(self, value: object) -> object:
        return "\n".join(value) if isinstance(value, list) else value

    def has_changed(self, initial: object, data: object) -> bool:
        return self.to_python(self.prepare_value(initial)) != self.to_python(data)

    def validate(self, value: object) -> None:
        if self.required and not value:
            raise forms.ValidationError(self.error_messages["required"], code="required")

    def run_validators(self, value: object) -> None:
        for line in value if isinstance(value, list) else ():
            super().run_validators(line)


class KeepableJSONField(forms.JSONField):
    """Escapes of JSON write what no table keeps and no page can show again: NUL, half of a surrogate pair."""

    def to_python(self, value: object) -> object:
        document = super().to_python(value)
        if not all_keepable(document):
            raise forms.ValidationError("This holds characters that cannot be kept, such as NUL.")
        return document

    def bound_data(self, data: object, initial: object) -> object:
        document = super().bound_data(data, initial)
        return document if all_keepable(document) else InvalidJSONInput(data)


class DomainForm(ReasonForm):
    domain = forms.CharField(
        max_length=253,
        widget=UnfoldAdminTextInputWidget(attrs={"autofocus": True, "placeholder": "example.org"}),
        help_text="Matched exactly: people at mail.example.org need mail.example.org.",
    )
    field_order = ["domain", "reason"]


class ConfirmForm(forms.Form):
    """A question without a field: its button is the answer."""
