"""Which languages and time zones a person may choose. Knows no person."""

from collections.abc import Iterable
from functools import lru_cache
from zoneinfo import available_timezones

from django.conf import global_settings
from django.utils.translation import get_language_info

Choice = tuple[str, str]
"""(what is kept, what is read)."""

# The others are old names, and what machines call themselves by.
_AREAS = (
    "Africa",
    "America",
    "Antarctica",
    "Arctic",
    "Asia",
    "Atlantic",
    "Australia",
    "Europe",
    "Indian",
    "Pacific",
)


@lru_cache(maxsize=1)
def locales() -> list[Choice]:
    """Languages by their own names, under tags of RFC 5646."""
    found = {_tag(code): get_language_info(code)["name_local"] for code, _ in global_settings.LANGUAGES}
    return sorted(((tag, f"{name[:1].upper()}{name[1:]} ({tag})") for tag, name in found.items()), key=_read)


@lru_cache(maxsize=1)
def time_zones() -> list[tuple[str, list[Choice]]]:
    """(continent or ocean, its zones), and UTC first."""
    by_area: dict[str, list[Choice]] = {area: [] for area in _AREAS}
    for name in sorted(available_timezones()):
        area, _, place = name.partition("/")
        if place and area in by_area:
            by_area[area].append((name, place.replace("_", " ").replace("/", ", ")))
    return [("Everywhere", [("UTC", "UTC")]), *((area, zones) for area, zones in by_area.items() if zones)]


def with_current(choices: Iterable[Choice], current: str) -> list[Choice]:
    """Also what a source has said that nobody would choose from the list."""
    listed = list(choices)
    known = not current or any(kept == current for kept, _ in listed)
    return listed if known else [(current, current), *listed]


def _tag(code: str) -> str:
    language, *rest = code.split("-")
    return "-".join([language, *(part.upper() if len(part) == 2 else part.title() for part in rest)])


def _read(choice: Choice) -> str:
    return choice[1].casefold()
