"""A night as a table: what stands today is beside what is proposed, and the reviewer's own version beside that."""

from overnight.review import table
from overnight.review.exhibit import Entry, Exhibit, Field
from overnight.workflow import Mode

ENTRY = Entry(
    "1-abc", 1, "k", "A jacket", "Ready",
    (Field("title", "Old title", "New title", editable=True), Field("claims", "", "- none", editable=False)), asked="sku: 1",
)  # fmt: skip


def exhibit(mode: Mode = Mode.ITEM) -> Exhibit:
    return Exhibit(
        1, "w", "W", "2026-11-23", mode, 60, ("Is it true?",), ("title", "claims"), ("title",), ("title",), None, (ENTRY,), {}
    )  # fmt: skip


def test_before_after_and_ones_own_version_stand_side_by_side() -> None:
    """In this order; a field that cannot be edited has no version of one's own."""
    names = [column.name for column in table.columns(exhibit())]
    at = names.index("title today")
    assert names[at : at + 4] == ["title today", "title", "title: your version", "claims"]
    assert "claims: your version" not in names
    cells = table.cells(ENTRY, table.columns(exhibit()), limit=100)
    assert (cells["title today"], cells["title"]) == ("Old title", "New title")


def test_the_checklist_is_ticked_item_by_item_and_not_in_a_grid() -> None:
    """A grid is looked at as a whole."""
    assert "✓ Is it true?" in [column.name for column in table.columns(exhibit())]
    assert "✓ Is it true?" not in [column.name for column in table.columns(exhibit(Mode.GRID))]


def test_a_text_too_long_for_a_cell_is_cut_and_says_so_and_an_edit_of_it_is_not_taken() -> None:
    """Else the edit would lose its end."""
    long = Entry("1-abc", 1, "k", "t", "Ready", (Field("title", "", "x" * 500, editable=True),))
    shows = Exhibit(1, "w", "W", "n", Mode.GRID, None, (), ("title",), (), ("title",), None, (long,), {})
    shape = table.columns(shows)
    cells = table.cells(long, shape, limit=200)
    assert len(cells["title"]) <= 200
    assert "cut here: 500 characters" in cells["title"]
    mark = table.read(shows, {**cells, "decision": "edit", "title: your version": "mine"}, shape, "row 2", limit=200)
    assert "too long for this place" in mark.written.trouble
    assert mark.shown_hash == table.expected(long, shape, limit=200), "nobody changed it"
