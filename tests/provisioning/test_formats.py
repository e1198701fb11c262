"""What real sources send where a value belongs, and what is made of it."""

import time

import pytest

from provisioning.formats import Format, cleaned

GOOD = {
    Format.EMAIL: [
        "ada@corp.example",
        "Ada.O'Brien+hub@sub.corp.example",
        "grüße@köln.example",
        "a@b",
    ],
    Format.NAME: [
        "Ada",
        "O'Brien-Smith",
        "van der Berg, Jr. (3rd)",
        "李",
        "Null",
        "می‌خواهم",
        "X Æ A-12",
        "N.",
    ],
    Format.TEXT: ["R&D / 4711", "Null Series", "https://intranet.example/sales", "#1"],
    Format.KEY: [
        "p-4711",
        "CN=Ada,O=Corp",
        "CORP\\ada",
        "100",
        "ada@corp.example",
        "sQy3/+x=",
        "user.smith",
        "\u0645\u06cc\u200c\u062e",
    ],
    Format.UUID: ["4F9c0e4e-0b7c-4c3e-8f0a-1f6f5a2b7c11"],
    Format.DIGITS: ["0042"],
    Format.LETTERS_AND_DIGITS: ["a1B2"],
    Format.LOCALE: ["de", "en-GB", "zh-Hant-TW", "es-419", "sl-rozaj-biske", "de-DE-u-co-phonebk"],
    Format.TIME_ZONE: ["Europe/Berlin", "UTC", "America/Argentina/Buenos_Aires"],
}
PLACEHOLDERS = [
    *("null", "NULL", "(null)", "undefined", "None", "nil", "N/A", "n/a", "-", "--", ".", "???", "not set"),
    *(
        "${user.email}",
        "%{mail}",
        "{{user.email}}",
        "#{mail}",
        "$(mail)",
        "<%= mail %>",
        "%mail%",
        "user.firstName",
    ),
]
HIDDEN = [f"a{letter}da" for letter in "\u00ad\u034f\u200b\u200d\u2060\ufe0f\ufeff\U000e0020"]
BAD = {
    Format.EMAIL: [
        *(
            "ada",
            "ada@",
            "@corp.example",
            "a@b@corp.example",
            "Ada <ada@corp.example>",
            "mailto:ada@corp.example",
        ),
        *(
            "ada @corp.example",
            "ada@corp..example",
            ".ada@corp.example",
            "ada@-corp.example",
            "null@corp.example",
        ),
        *("ada@corp.example\nboss@corp.example", "ada@corp.example;boss@corp.example", '"a b"@corp.example'),
        *(f"{value}@corp.example" for value in HIDDEN),
        *("a" * 65 + "@corp.example", "ada@" + "a" * 64 + ".example", "undefined@undefined"),
    ],
    Format.NAME: [
        *("12345", "ada@corp.example", "https://corp.example", "www.corp.example", "<b>Ada</b>"),
        *("Ada\nLovelace", "Ada\x00", "Ada\u2028Lovelace", "adA \u202eecalevoL", "M\ufffdller"),
    ],
    Format.TEXT: ["Sales\r\nBcc: x", "S\ufffd"],
    Format.KEY: ["0", "0000", "00000000-0000-0000-0000-000000000000", "a\tb", "user.objectid", *HIDDEN],
    Format.UUID: ["4f9c0e4e", "4f9c0e4e0b7c4c3e8f0a1f6f5a2b7c11", "00000000-0000-0000-0000-000000000000"],
    Format.DIGITS: ["12a", "٣٤"],
    Format.LETTERS_AND_DIGITS: ["a-1", "ä"],
    Format.LOCALE: ["German", "de-DE,en;q=0.8", "d", "en-GB-", "*"],
    Format.TIME_ZONE: ["W. Europe Standard Time", "+01:00", "../../etc/passwd", "CEST"],
}


@pytest.mark.parametrize(("format", "value"), [(f, v) for f, values in GOOD.items() for v in values])
def test_a_good_value_is_kept_as_it_is(format: Format, value: str) -> None:
    assert cleaned(value, format) == value


@pytest.mark.parametrize(("format", "value"), [(f, v) for f, values in BAD.items() for v in values])
def test_a_bad_value_is_none(format: Format, value: str) -> None:
    assert cleaned(value, format) is None


@pytest.mark.parametrize("value", PLACEHOLDERS)
@pytest.mark.parametrize("format", list(Format))
def test_what_stands_for_nothing_is_no_value_of_any_format(format: Format, value: str) -> None:
    assert cleaned(value, format) is None


@pytest.mark.parametrize("value", ["", " ", "\t\n", "\u200b"])
@pytest.mark.parametrize("format", list(Format))
def test_blanks_are_no_value(format: Format, value: str) -> None:
    assert cleaned(value, format) is None


def test_a_locale_of_java_or_ldap_becomes_a_language_tag() -> None:
    assert cleaned("de_DE", Format.LOCALE) == "de-DE"


def test_blanks_around_a_value_are_not_part_of_it() -> None:
    assert cleaned(" Ada ", Format.NAME) == "Ada"


@pytest.mark.parametrize("piece", ["${", "{{", "%a", "<%", "$(", "a.", "a-", "-a1234", "@", "aaa-"])
@pytest.mark.parametrize("format", list(Format))
def test_no_value_of_the_longest_length_takes_long(format: Format, piece: str) -> None:
    value = (piece * 512)[:512]
    began = time.perf_counter()
    for end in ("", "@", "!"):
        cleaned(value + end, format)
    assert time.perf_counter() - began < 0.1
