"""An exhibit as a table, for the surfaces that are one: which columns there are, whose each is, and what stands in a row.

A column is ours or the reviewer's, never both. Ours are written once and compared when they come back; the reviewer's are
never written. Where something stands today it is beside what is proposed, and the reviewer's own version beside that.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from overnight.review import showing
from overnight.review.exhibit import Entry, Exhibit, Field, shown_hash
from overnight.review.reasons import REASONS
from overnight.review.surface import Mark
from overnight.review.verdict import Written
from overnight.workflow import Mode

REF, SAID, DECISION, REASON, NOTE, REVIEWER = "ref", "overnight says", "decision", "reason", "note", "reviewer"
LOOK, ITEM, KEY, ASKED, CHECKS, EARLIER = "look at", "item", "id", "what was asked", "checks", "the last reviewer asked"
DOCUMENT = "document"
RESERVED = frozenset({
    REF, SAID, DECISION, REASON, NOTE, REVIEWER, LOOK, ITEM, KEY, ASKED, CHECKS, EARLIER, DOCUMENT, "night", "stage", "workflow",
})  # fmt: skip
DECISIONS = ("approve", "edit", "rework")
TICK = "✓ "
TICKED = {"true", "x", "yes", "wahr", "ja", "vrai", "oui", "verdadero", "vero", "verdadeiro", "waar", "prawda"}
"""A tick as it is written, or as a spreadsheet shows it in its own language."""
YOURS = ": your version"
TODAY = " today"
CUT = "\n… cut here: {count:,} characters in all, the whole text is on Overnight's own review page"


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its header, whose it is, and how it is filled in."""

    name: str
    theirs: bool = False
    options: tuple[str, ...] = ()
    tick: bool = False
    wide: bool = False


def title(name: str) -> str:
    """The header of an answer's field; one that is called like a column of ours or the reviewer's is told apart."""
    label = showing.label(name)
    return f"{label} (answer)" if label in RESERVED else label


def columns(exhibit: Exhibit, *, document: bool = False) -> tuple[Column, ...]:
    """The columns of a night, in the order a reviewer reads."""
    made = [
        Column(REF), Column(LOOK), Column(ITEM, wide=True),
        Column(DECISION, theirs=True, options=DECISIONS),
        Column(REASON, theirs=True, options=tuple(REASONS.values())), Column(NOTE, theirs=True, wide=True),
        Column(SAID, wide=True),
    ]  # fmt: skip
    if document:
        made.append(Column(DOCUMENT))
    for name in dict.fromkeys((*exhibit.field_names, *_digest_field(exhibit))):
        header = title(name)
        if name in exhibit.before_names:
            made.append(Column(header + TODAY, wide=True))
        made.append(Column(header, wide=True))
        if name in exhibit.editable_names:
            made.append(Column(header + YOURS, theirs=True, wide=True))
    made += [Column(CHECKS, wide=True), Column(EARLIER, wide=True), Column(ASKED, wide=True), Column(KEY)]
    if exhibit.mode is Mode.ITEM:
        made += [Column(TICK + line, theirs=True, tick=True) for line in exhibit.checklist]
    return (*made, Column(REVIEWER, theirs=True))


def _digest_field(exhibit: Exhibit) -> tuple[str, ...]:
    return tuple(field.name for entry in exhibit.entries if entry.item_id is None for field in entry.fields)


def cells(entry: Entry, shape: Sequence[Column], *, limit: int, link: str = "") -> dict[str, str]:
    """What stands in our columns of a row (all but what is said beside it), each at most `limit` characters."""
    filled = {
        REF: entry.ref, LOOK: entry.look, ITEM: entry.title, KEY: entry.key, ASKED: entry.asked, CHECKS: entry.checks,
        EARLIER: entry.note, DOCUMENT: link,
    }  # fmt: skip
    for field in entry.fields:
        filled[title(field.name)] = field.after
        filled[title(field.name) + TODAY] = field.before
    return {c.name: _cut(filled.get(c.name, ""), limit) for c in shape if not c.theirs and c.name != SAID}


def expected(entry: Entry, shape: Sequence[Column], *, limit: int, link: str = "") -> str:
    """The hash of our cells as we write them: not as they are read back, for somebody may have changed them meanwhile."""
    return hashed(cells(entry, shape, limit=limit, link=link), shape)


def hashed(row: Mapping[str, str], shape: Sequence[Column]) -> str:
    """The hash of our cells as they stand in a row. An empty one says nothing: a column may come or go with another row."""
    return shown_hash({name: text for name, text in _ours(row, shape).items() if text})


def _ours(row: Mapping[str, str], shape: Sequence[Column]) -> dict[str, str]:
    return {c.name: showing.clean(row.get(c.name, "")) for c in shape if not c.theirs and c.name != SAID}


def missing(shape: Sequence[Column], there: Collection[str]) -> list[str]:
    """Columns without which a row cannot be read. A line that the checklist got since is none: nobody ticked it there."""
    return [c.name for c in shape if c.name not in there and not c.tick]


def read(exhibit: Exhibit, row: Mapping[str, str], shape: Sequence[Column], place: str, *, limit: int) -> Mark:
    """A row as it was found, by the headers of its cells."""
    entry = exhibit.by_ref().get(row.get(REF, "").strip())
    edits = {
        name: row.get(title(name) + YOURS, "") for name in exhibit.editable_names if row.get(title(name) + YOURS, "").strip()
    }
    ticked = tuple(c.name.removeprefix(TICK) for c in shape if c.tick and row.get(c.name, "").casefold() in TICKED)
    written = Written(
        row.get(DECISION, ""), row.get(REASON, ""), row.get(NOTE, ""), row.get(REVIEWER, "").strip(), edits, ticked,
        trouble=_cut_edit(entry, edits, limit),
    )  # fmt: skip
    former = shown_hash(_ours(row, shape))
    return Mark(exhibit.night_id, row.get(REF, "").strip(), place, written, hashed(row, shape), row.get(SAID, ""), former)


def _cut_edit(entry: Entry | None, edits: Mapping[str, str], limit: int) -> str:
    long = [field.name for field in (entry.fields if entry else ()) if field.name in edits and _is_cut(field, limit)]
    if not long:
        return ""
    return (
        f"{showing.label(long[0])} is too long for this place and was cut, so an edit here would lose its end. "
        "Edit it on Overnight's own review page. Nothing was decided."
    )


def _is_cut(field: Field, limit: int) -> bool:
    return len(field.after) > limit


def _cut(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    said = CUT.format(count=len(text))
    return showing.clean(text[: limit - len(said)]) + said
