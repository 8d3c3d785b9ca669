"""What a person wrote becomes a decision, or a refusal with the words for them. The same rules on every surface.

Nothing is guessed: an unknown word, a missing reason, an edit beside "approve" are refused, and nothing is decided then.
"""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from overnight.ledger.batches import NIGHT
from overnight.ledger.reviews import DECISIONS, DecisionRefused
from overnight.review import showing, worddiff
from overnight.review.reasons import REASONS
from overnight.workflow import Workflow

HEAVY_EDIT = 0.30
"""Share of characters changed from which an edit counts as rework in the metrics (domain 4.2)."""

SAID = {"approve": "approved", "edit": "approved with your edits", "rework": "sent back"}
_MAX_NOTE = 4_000
_CELL_ERROR = re.compile(r"#(?:NAME\?|ERROR!|REF!|VALUE!|N/A|DIV/0!|NUM!|NULL!|SPILL!|CALC!)")


@dataclass(frozen=True, slots=True)
class Written:
    """What stands in a row's own cells of the reviewer."""

    decision: str = ""
    reason: str = ""
    note: str = ""
    reviewer: str = ""
    edits: Mapping[str, str] = field(default_factory=dict)  # field → the reviewer's version, where one was written
    checklist: tuple[str, ...] = ()
    trouble: str = ""  # why this surface cannot take it as it stands
    signed: bool = True  # the name was written in the row; one that a file or a page was last saved by signs no named yes

    @property
    def touched(self) -> bool:
        """Whether a decision was written."""
        return bool(self.decision.strip())

    @property
    def begun(self) -> bool:
        """Whether anything was written: a version or a note without a decision is somebody's work all the same."""
        return self.touched or bool(self.note.strip()) or any(text.strip() for text in self.edits.values())


def word(written: str) -> str:
    """A decision as it was typed, made comparable."""
    return showing.clean(written).casefold()


def decision(written: Written, item: Mapping[Any, Any] | None, declared: Workflow | None, *, surface: str) -> dict[str, Any]:
    """The columns of a decision.

    Args:
        item: the ledger's row; None for the digest and for all that is ready.

    Raises:
        DecisionRefused: with the words for the reviewer.
    """
    kind = word(written.decision)
    _refuse(kind, written, item)
    changed = _changed(written, item) if item is not None else {}
    _refuse_broken(written, changed, declared)
    if kind == "edit" and not changed:
        raise DecisionRefused("No edit found: write your version of at least one text, or choose approve. Nothing was decided.")
    if kind == "approve" and changed:
        fields = ", ".join(showing.label(name) for name in changed)
        raise DecisionRefused(
            f"You wrote your own version of {fields}, but chose approve. Choose edit to approve with it, or empty it. "
            "Nothing was decided."
        )
    taken: dict[str, Any] = {
        "decision": kind, "reviewer": written.reviewer[:128], "surface": surface, "reason_code": reason_code(written.reason),
        "note": showing.clean(written.note)[:_MAX_NOTE] or None, "checklist": list(written.checklist) or None, "edited": None,
    }  # fmt: skip
    if kind == "edit" and item is not None and declared is not None:
        taken |= edited(item["output"], changed, declared)
    return taken


def _refuse(kind: str, written: Written, item: Mapping[Any, Any] | None) -> None:
    if kind not in DECISIONS:
        raise DecisionRefused(f"{kind[:40]!r} is no decision; write approve, edit or rework. Nothing was decided.")
    if written.trouble:
        raise DecisionRefused(written.trouble)
    if not written.reviewer.strip():
        raise DecisionRefused("Who decided? Write your name as the reviewer. Nothing was decided.")
    code = reason_code(written.reason)
    if written.reason.strip() and code is None:
        raise DecisionRefused(f"{written.reason[:40]!r} is no reason; choose one of the list. Nothing was decided.")
    if kind == "rework" and (code is None or not written.note.strip()):
        raise DecisionRefused("A rework needs a reason and a note: the next draft is written from them. Nothing was decided.")
    if kind == "rework" and item is not None and item.get("source") == NIGHT:
        raise DecisionRefused(
            "This was the night's own question about all others: no other night can ask it again. Edit it, or approve it. "
            "Nothing was decided."
        )
    if kind == "edit" and item is None:
        raise DecisionRefused("A digest cannot be edited; approve it or send it back with a note. Nothing was decided.")


def _refuse_broken(written: Written, changed: Mapping[str, str], declared: Workflow | None) -> None:
    """What a spreadsheet made of a text that begins like a formula is nobody's words; and some texts are not a reviewer's."""
    own = {"note": written.note, **{showing.label(name): text for name, text in changed.items()}}
    if broken := [name for name, text in own.items() if _CELL_ERROR.fullmatch(showing.clean(text))]:
        raise DecisionRefused(
            f"{broken[0][:1].upper()}{broken[0][1:]} is a spreadsheet's error: a text that begins with -, + or = was taken for a "
            "formula. Put an apostrophe before it, or begin with a letter. Nothing was decided."
        )
    allowed = declared.review.editable if declared is not None else ()
    if strange := [name for name in changed if allowed and name not in allowed]:
        raise DecisionRefused(
            f"{showing.label(strange[0])} is not yours to change; you may write {', '.join(map(showing.label, allowed))}. "
            "Nothing was decided."
        )


def says_the_same(written: Written, decided: Mapping[Any, Any], shown: Mapping[str, str]) -> bool:
    """Whether a row still says what was taken from it: the word, and the words that go with it.

    Args:
        shown: the texts as they stand there, by field.
    """
    kind = word(written.decision)
    if kind != decided["decision"]:
        return False
    if kind == "rework":
        return showing.clean(written.note)[:_MAX_NOTE] == (decided["note"] or "")
    versions = {name: showing.clean(text) for name, text in written.edits.items() if showing.clean(text)}
    taken = {**shown, **(decided["edited"] or {})}
    return all(text == showing.clean(str(taken.get(name, ""))) for name, text in versions.items())


def decision_texts(decision: Mapping[Any, Any] | None, item: Mapping[Any, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """What a reviewer's edit changed: field by field, word by word."""
    after = (decision or {}).get("edited") or {}
    return [
        (name, worddiff.words(showing.text(value), showing.text(after[name])))
        for name, value in (item["output"] or {}).items()
        if name in after and after[name] != value
    ]


def reason_code(written: str) -> str | None:
    """A reason by its code or by its words."""
    plain = showing.clean(written).casefold()
    return next((code for code, words in REASONS.items() if plain in (code, words.casefold())), None)


def _changed(written: Written, item: Mapping[Any, Any]) -> dict[str, str]:
    """Those versions of the reviewer that differ from what was proposed."""
    output = item["output"] or {}
    return {
        name: showing.clean(text)
        for name, text in written.edits.items()
        if isinstance(output.get(name), str) and showing.clean(text) != showing.clean(output[name])
    }


def edited(output: Mapping[str, Any], changed: Mapping[str, str], declared: Workflow) -> dict[str, Any]:
    """The reviewer's version, held to the same model as the draft was, with how much was changed.

    Returns:
        `edited`, `edit_share` (0..1), `edit_diff` and `heavy`, the columns of a decision.
    """
    from rapidfuzz.distance import Levenshtein

    try:
        model = declared.model_of(output)
        made = {**output, **changed}
        # What steps in code found stands beside the model's own fields and is kept as it is.
        whole = {**made, **(model.model_validate(made).model_dump(mode="json") if model else {})}
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, f['loc']))}: {f['msg']}" for f in error.errors(include_url=False)[:5])
        raise DecisionRefused(f"Your edit does not fit: {faults}. Nothing was decided.") from error
    texts = [name for name, value in output.items() if isinstance(value, str)]
    before, after = ("\n".join(str(version.get(name, "")) for name in texts) for version in (output, whole))
    share = Levenshtein.distance(before, after) / max(len(before), len(after), 1)
    return {"edited": whole, "edit_share": round(share, 4), "edit_diff": _diff(output, whole), "heavy": share > HEAVY_EDIT}


def _diff(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    parts: list[str] = []
    for name, value in before.items():
        if after.get(name) != value:
            old, new = (showing.text(version).splitlines() for version in (value, after.get(name)))
            parts += difflib.unified_diff(old, new, f"{name} (draft)", f"{name} (reviewer)", lineterm="", n=1)
    return "\n".join(parts)
