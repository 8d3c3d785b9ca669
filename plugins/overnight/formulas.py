"""How a text begins that a spreadsheet would run: what may not be answered, and what is escaped in a file.

"-20 % on all tents" is none: what reviewers approved is delivered as it is.
"""

import re

# Possessive: a text of dashes and figures, tried in every way it can be cut, would take days.
_NUMBER = r"[\d.,\s]*+(?:[eE][+-]?\d++\s*+)?%?\s*+"
# A number, an operator, and something that a spreadsheet would run, ask for or look up.
_RECKONS = rf"[+-]\s?[€$£]?{_NUMBER}(?=[-+*/^&=<>|!(,:;{{}}@'\"])(?=.*(?:[=|@]|[\w'\"]![\w$]|[^\W\d]\w*\s*\())"
_RUNS = re.compile(rf"[=@\t\r]|[+-](?!\s?[€$£]?\d)|{_RECKONS}", re.DOTALL)
# A call or another sheet right behind an operator: "-20 %! Shop now (ends Sunday)" is none.
_CALLS = (
    rf"[+-]\s?{_NUMBER}(?:[-+*/^&]\s*+{_NUMBER})*+[-+*/^&|]?\s*+"
    r"(?:[A-Za-z_]\w*\s?\|\s?'|[A-Za-z_][\w.]*\(|'[^']*'![\w$]|[A-Za-z_]\w*![\w$]|=)"
)
_MEANT = re.compile(rf"\s*(?:[=@]|[+|-](?=\s*[A-Za-z=@(])|{_CALLS})")


def escaped(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula (the leading apostrophe is the spreadsheet's own sign for text)."""
    return f"'{cell}" if _RUNS.match(cell) else cell


def meant(text: str) -> bool:
    """Whether a text can only be meant as a formula: blank room before it does not hide it, and a dash before words that no
    spreadsheet could call is a dash."""
    return _MEANT.match(text) is not None
