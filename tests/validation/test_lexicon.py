"""The word lists: one quick look at a text may spare the look for every term, but never a term."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from overnight.validation import lexicon

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
    return [term for term, pattern in terms(name) if re.search(pattern, text, re.IGNORECASE)]


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
