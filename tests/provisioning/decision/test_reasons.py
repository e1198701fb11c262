"""The codes that operators look up are the codes that the hub says."""

import re
from pathlib import Path

import pytest

from provisioning.decision.reasons import Act, FindingKind, Flaw, Reason, Report, RowFault

PAGE = Path(__file__).parents[3] / "docs" / "reasons.md"
ROW = re.compile(
    r"^\| `(?P<code>[a-z:-]+)` \| (?P<meaning>.+?) \| (?P<seen>.+?) \| (?P<remedy>.+?) \|$", re.M
)


SECTIONS = [
    ("Outcomes", Reason),
    ("Findings", FindingKind),
    ("Acts", Act),
    ("Reports", Report),
    ("Rosters", Flaw),
    ("Lines of a roster", RowFault),
]


@pytest.mark.parametrize(("section", "codes"), SECTIONS)
def test_the_page_lists_every_code_with_its_meaning(section, codes):
    text = PAGE.read_text(encoding="utf-8")
    part = text.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    assert [(row["code"], row["meaning"]) for row in ROW.finditer(part)] == [
        (code.value, code.meaning) for code in codes
    ]


@pytest.mark.parametrize("code", [*Reason, *FindingKind, *Act, *Report, *Flaw, *RowFault])
def test_a_code_reads_subject_and_what_happened(code):
    assert re.fullmatch(r"[a-z]+:[a-z-]+", code)
