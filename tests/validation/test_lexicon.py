"""The word lists: one quick look at a text may spare the look for every term, but never a term."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from overnight.validation import lexicon, wording
from overnight.workflow import Severity

FOLDER = Path(__file__).parents[2] / "include" / "lexicons"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
AROUND = st.text(alphabet="aIſıİK é.,!?-\n\U0001f600", max_size=6)


def terms(name: str) -> Iterator[tuple[str, str]]:
    """(term, its pattern between the edges of words), read from the file itself."""
    groups = yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))["groups"]
    for group, entries in groups.items():
        for entry in entries:
            yield entry["term"], entry["match"] if group == "anywhere" else rf"(?<!\w)(?:{entry['match']})(?!\w)"


def said(name: str, text: str) -> list[str]:
    """What each term's own pattern says of a text."""
    return [term for term, pattern in terms(name) if re.search(pattern, lexicon.as_read(text), re.IGNORECASE)]


@settings(max_examples=150, deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("name", NAMES)
def test_a_text_is_found_to_hold_what_each_term_finds_in_it(name: str, data: Any) -> None:
    """Whatever its capitals, its language and what stands around it."""
    patterns = [pattern for _, pattern in terms(name)]
    alphabet = st.characters(codec="utf-8", exclude_categories=["Cs"])
    piece = data.draw(st.sampled_from(patterns).flatmap(lambda p: st.from_regex(re.compile(p, re.IGNORECASE), alphabet=alphabet)))
    cased = data.draw(st.sampled_from([str, str.upper, str.lower, str.title, str.swapcase]))
    text = data.draw(AROUND) + cased(piece) + data.draw(AROUND)
    assert [hit.term for hit in lexicon.hits(name, text)] == said(name, text)


@pytest.mark.parametrize("name", NAMES)
def test_a_plain_english_text_is_found_to_hold_what_each_term_finds_in_it(name: str) -> None:
    """The quick look at ASCII texts is one of its own: every term's words, in capitals and small."""
    for _, pattern in terms(name):
        for piece in re.findall(r"[a-z]{2,}(?: [a-z]+)*", pattern):
            for text in (piece, piece.upper(), f"It said: {piece.title()}!"):
                assert [hit.term for hit in lexicon.hits(name, text)] == said(name, text)


WRITTEN = [
    (r"\x42URNT", "it was burnt"),
    (r"(?P<what>burn)t", "BURNT"),
    (r"[A-C]urnt", "it was burnt"),
    (r"burnt\W", "BURNT!"),
    ("yangın|BURNT", "YANGIN"),
    ("toast(?! TIME)", "TOAST time"),
    (r"(?<!NO )toast", "no toast"),
    (r"\bBurnt|\d\D\S", "4 burnt 4ab"),
]


@pytest.mark.parametrize("n", range(len(WRITTEN)))
def test_a_term_may_be_written_in_capitals_or_as_a_number(n: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lists are the brand's to edit: however a pattern is written, its case does not matter."""
    match, text = WRITTEN[n]
    folder, name = tmp_path / "include" / "lexicons", f"own-{n}"
    folder.mkdir(parents=True)
    groups = {"block": [{"term": "t", "match": match, "why": "w"}]}
    (folder / f"{name}.yaml").write_text(yaml.safe_dump({"version": 1, "groups": groups}), encoding="utf-8")
    monkeypatch.setenv("OVERNIGHT_PROJECT", str(tmp_path))
    expected = re.search(rf"(?<!\w)(?:{match})(?!\w)", text, re.IGNORECASE)
    assert [hit.found for hit in lexicon.hits(name, text)] == ([expected[0]] if expected else [])


@pytest.mark.parametrize(
    "text",
    [
        "It is clinically\nproven.", "It is clinically  proven.", "It is clinically\u00a0proven.", "It is **Clinically** proven.",
        "It is clinically <strong>proven</strong>.", "It is clinically&nbsp;proven.", "It is clini<b>cally</b> proven.",
        "It is _clinically_ proven.", "It is CLINICALLY PROVEN.", "clinic\u00adally proven",
    ],
)  # fmt: skip
def test_a_claim_is_found_however_it_is_set(text: str) -> None:
    """A line break, an emphasis, a tag or an entity between two words hides them from no customer."""
    assert [finding.severity for finding in wording.claims({"body": text})] == [Severity.FAIL]


def test_a_hyphen_is_one_in_any_typeface() -> None:
    """Typesetters write three of them."""
    said = {
        len(lexicon.hits("amazon", text))
        for text in ("FDA-approved", "FDA\u2010approved", "FDA\u2011approved", "FDA\u00adapproved")
    }
    assert wording.plain("FDA&#45;approved") == "FDA-approved"
    assert len(said - {0}) == 1


@pytest.mark.parametrize("before", ["I&#39;d say it&#8217;s 2.4 kg", "**2.4** kg_m", "a * b", "snake_case_name", "5 * 3"])
def test_what_is_read_of_a_text_keeps_its_figures(before: str) -> None:
    """An entity's number is no figure of the text, and a star between two numbers is no emphasis."""
    assert "39" not in wording.plain(before)
    assert "8217" not in wording.plain(before)
    assert wording.plain("snake_case_name and 5 * 3") == "snake_case_name and 5 * 3"


def test_a_proof_proves_its_own_words_and_nothing_else_of_the_kind() -> None:
    """A certificate for one claim frees no other that the list calls by the same name."""
    proof = ["e1: tested hypoallergenic, certified by Hohenstein", "e2: FCC ID 2ABC"]
    texts = {"description": "A hypoallergenic towel, FDA-approved and clinically proven, antibacterial."}
    found = {finding.evidence.casefold(): finding.severity for finding in wording.claims(texts, "amazon", borne_out=proof)}
    assert Severity.FAIL not in {severity for words, severity in found.items() if "hypoallergenic" in words}
    assert Severity.FAIL in found.values()
    assert all(severity is not Severity.NOTE for words, severity in found.items() if "fda" in words)
