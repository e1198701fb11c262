"""What the texts of one line mean: keys, an e-mail, whether somebody is active. Knows no file and no column's name.

A million lines pass here. Most of them are ordinary, and one look at the whole line says so; the others are looked at
value by value. Both ways end alike.
"""

import re
from collections.abc import Sequence
from typing import Any

from provisioning.attributes import longest_of
from provisioning.decision.placeholders import WORDS_OF_NOTHING, is_zeros, says_nothing
from provisioning.decision.reasons import RowFault
from provisioning.fingerprints import FIELDS
from provisioning.formats import LAYOUT, Format, cleaned, unprintable

from . import Fault, Values

TRUE = frozenset({"true", "yes", "y", "1", "on"})
FALSE = frozenset({"false", "no", "n", "0", "off"})
ACTIVE = TRUE | frozenset(
    {
        *("active", "enabled", "a", "ok", "current", "employed"),
        # Okta: whoever is there and was not taken out. Waiting for a password is no deactivation.
        *("staged", "provisioned", "pending user action", "recovery", "password_expired", "password expired"),
        *("locked_out", "locked out", "password reset"),
        *("on leave", "leave", "leave of absence", "paid leave", "unpaid leave"),
    }
)
INACTIVE = FALSE | frozenset(
    {
        *("inactive", "disabled", "i", "suspended", "deprovisioned"),
        *("deactivated", "blocked", "archived", "deleted", "removed"),
        *("terminated", "retired", "resigned", "withdrawn", "discharged", "deceased", "former", "left"),
    }
)
"""In lower case. Whatever is in neither list is a fault: a guess would lock people out, or let them in."""

_KEYS = ("external_id", "user_name", "hr_number")
_PLACE = {name: place for place, name in enumerate(FIELDS)}
_ID, _NAME, _ACTIVE, _EMAIL = (_PLACE[n] for n in ("external_id", "user_name", "active", "email"))
_LOCALE, _ZONE, _HR = (_PLACE[n] for n in ("locale", "time_zone", "hr_number"))
_LONGEST = tuple(512 if name == "active" else longest_of(name) for name in FIELDS)

# Letters of Europe's alphabets, digits and the signs that stand in names, titles and addresses, in words with one blank
# between them. What could be a template, a control character or another script's look-alike is not among them and is
# looked at more closely, and so is a text that begins without a letter or digit.
_LETTERS, _SIGNS = "A-Za-z0-9\u00c0-\u024f", "@.,&'()/+_-"
_VALUE = f"(?:[{_SIGNS}]*[{_LETTERS}][{_LETTERS}{_SIGNS}]*(?: [{_LETTERS}{_SIGNS}]+)*)?"
_ORDINARY = re.compile(f"{_VALUE}(?:\n{_VALUE})*")
_PLAIN_EMAIL = re.compile(r"[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*@(?:[a-z0-9]+(?:-[a-z0-9]+)*\.)+[a-z]{2,24}")
_SHORT = 256
"""Characters of a whole line in which no text is too long for any column, but for the two that take 64."""


def read_values(
    line: int, said: Sequence[str], columns: Sequence[str], *, inverted: bool = False
) -> Values | Fault:
    """What a line says, or why it is of no use.

    `said` and `columns` (their names, for faults) are in the order of FIELDS; what the mapping does not speak of is
    empty, with an empty name. `inverted`: the truth value means inactive.
    """
    values = _ordinary(said)
    if values is None:
        closely = _closely(line, said, columns)
        if isinstance(closely, Fault):
            return closely
        values = closely
    if not values[_ID] and not values[_NAME]:
        return Fault(line=line, code=RowFault.KEY_MISSING, column=columns[_ID] or columns[_NAME])
    if columns[_NAME] and not values[_NAME]:
        return Fault(line=line, code=RowFault.KEY_MISSING, column=columns[_NAME])
    if not columns[_ACTIVE]:
        values[_ACTIVE] = True
        return tuple(values)
    word = values[_ACTIVE].lower()
    # "Blocked: blocked" is no answer to whether somebody is active.
    yes, no = (FALSE, TRUE) if inverted else (ACTIVE, INACTIVE)
    if word not in yes and word not in no:
        return Fault(line=line, code=RowFault.ACTIVE_UNCLEAR, column=columns[_ACTIVE])
    values[_ACTIVE] = word in yes
    return tuple(values)


def unless_archived(read: Values | Fault, line: int, word: str, column: str) -> Values | Fault:
    """What a line says, with what another column says of who is archived: nobody, where it is empty."""
    word = word.strip().lower()
    if isinstance(read, Fault) or not word or word in FALSE:
        return read
    if word not in TRUE:
        return Fault(line=line, code=RowFault.ACTIVE_UNCLEAR, column=column)
    return (*read[:_ACTIVE], False, *read[_ACTIVE + 1 :])


def _ordinary(said: Sequence[str]) -> list[Any] | None:
    """The values of a line in which nothing has to be looked at closely; else None."""
    whole = "\n".join(said)
    folded = whole.lower().split("\n")
    email = said[_EMAIL]
    if (
        len(whole) > _SHORT
        or len(said[_LOCALE]) + len(said[_ZONE]) > 64
        or len(folded) != len(said)
        or not _ORDINARY.fullmatch(whole)
        or not WORDS_OF_NOTHING.isdisjoint(folded)
    ):
        return None
    if email and (not _PLAIN_EMAIL.fullmatch(email) or email.partition("@")[0].lower() in WORDS_OF_NOTHING):
        return None
    for key in (said[_ID], said[_NAME], said[_HR]):
        if key and is_zeros(key):
            return None
    return list(said)


def _closely(line: int, said: Sequence[str], columns: Sequence[str]) -> list[Any] | Fault:
    values: list[Any] = []
    for name, value, column, longest in zip(FIELDS, said, columns, _LONGEST, strict=True):
        if len(value) > 512:
            value = value.strip(LAYOUT)
        if len(value) > longest:
            return Fault(line=line, code=RowFault.VALUE_TOO_LONG, column=column)
        if "\ufffd" in value or "\x00" in value:
            # The mark of bytes that are not of the encoding.
            return Fault(line=line, code=RowFault.CHARACTERS, column=column)
        value = value.strip(LAYOUT)
        if not value or (says_nothing(value) and name != "active" and not _is_named(name, value)):
            values.append("")
            continue
        kept = _kept(name, value)
        if kept is None:
            code = RowFault.KEY_MALFORMED if name in _KEYS else RowFault.VALUE_MALFORMED
            return Fault(line=line, code=code, column=column)
        values.append(kept)
    return values


def _is_named(name: str, value: str) -> bool:
    """There are people whose name is Null."""
    return value == "Null" and name in ("given_name", "family_name", "display_name")


def _kept(name: str, value: str) -> str | None:
    if name in _KEYS:
        return cleaned(value, Format.KEY)
    if name == "email":
        return cleaned(value, Format.EMAIL)
    # A cell of a spreadsheet may hold an end of a line; to a reader that is a blank.
    value = " ".join(value.split())
    return None if unprintable(value) else value
