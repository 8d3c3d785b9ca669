"""One surface in the morning: what people wrote is taken or refused, row by row, and each row gets its answer.

Decisions on the wrong item are kept out by three things in each row: the item and the version of its draft, the hash of
all that we wrote there, and the rule that a row which stands twice must say the same twice.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from overnight.governance import policy as policies
from overnight.ledger import exhibits, reviews
from overnight.ledger.audit import Actor
from overnight.ledger.connect import Ledger
from overnight.ledger.errors import AlreadyThere
from overnight.ledger.nights import Night
from overnight.ledger.reviews import DecisionRefused
from overnight.ledger.rows import Row
from overnight.review import deciding, exhibit, verdict
from overnight.review.exhibit import Entry, Exhibit
from overnight.review.export import keep
from overnight.review.placement import BUCKETS
from overnight.review.surface import Mark, Surface, SurfaceBroken, Told
from overnight.workflow import workflow_if_known

_ALTERED = (
    "Cells that Overnight wrote were changed in this row, so nobody can say what was approved. Undo the change (or decide "
    "on Overnight's own review page). Nothing was decided."
)
_TWICE = "This row stands twice, and the two say different things. Delete one of them. Nothing was decided."
_GONE = "This item went into a later night; decide on it there. Nothing was decided."
_READY_NO_MORE = (
    "This row speaks for nothing any more: each item takes a decision of its own now. What was approved by it stays approved."
)
_READY_TOO_LATE = "This row speaks for nothing any more: each item takes a decision of its own now. Nothing was decided."
_SPENT = "This row has spoken: an item that is still open takes a decision of its own."
_LEFT_OUT = (
    "You wrote something in this row and chose no decision: it was left out when all that is ready was approved. Choose one."
)
_UNKNOWN = "This is not a row of this night. Nothing was decided."
_WAITS = "No decision yet: it waits for the next morning. Nothing is approved without one."


class Morning:
    """The nights that are in review on one surface, from one look at it to the answers."""

    def __init__(self, ledger: Ledger, name: str, place: Surface, nights: Sequence[Night], *, now: datetime) -> None:
        self.ledger, self.name, self.place, self.now = ledger, name, place, now
        self.nights = {night["id"]: night for night in nights if policies.lets(night["workflow"], "read_decisions")}
        self.looked = False
        self.broken: dict[int, str] = {}  # nights that could not be read, with the words for whoever mends them
        self.marks: Sequence[Mark] = ()
        self.refused: dict[tuple[int, str, str], str] = {}
        self.kept_yes: dict[tuple[int, str, str], str] = {}  # first yeses of two, with the words for the row
        self._build()

    def _build(self) -> None:
        with self.ledger.read() as conn:
            self.exhibits = {night_id: exhibit.build(conn, night) for night_id, night in self.nights.items()}
            self.kept = {night_id: exhibits.of_night(conn, night_id) for night_id in self.nights}

    def bring(self) -> Counter[str]:
        """Look once, and put every decision that can be taken into the ledger; returns how many were refused."""
        if self.place.in_ledger:
            return Counter()
        self.marks = self._look()
        self.looked = True
        self._withdraw()
        many = []
        for mark in self._once():
            entry = self.exhibits[mark.night_id].by_ref().get(mark.ref)
            if entry is not None and entry.item_id is None:
                many.append((mark, entry))
            else:
                self._take(mark, entry)
        for mark, entry in many:  # what is said of one item comes before what is said of all
            self._take(mark, entry)
        return Counter({"refused": len(self.refused)})

    def _look(self) -> list[Mark]:
        """All rows of all nights; when that fails, night by night, so that one broken night hides no other.

        Raises:
            SurfaceBroken: no night could be read.
        """
        try:
            return list(self.place.collect(list(self.exhibits.values())))
        except SurfaceBroken:
            if len(self.exhibits) < 2:
                raise
        marks: list[Mark] = []
        for night_id in list(self.exhibits):
            try:
                marks += self.place.collect([self.exhibits[night_id]])
            except SurfaceBroken as broken:
                self.broken[night_id] = str(broken)
        if len(self.broken) == len(self.exhibits):
            raise SurfaceBroken("; ".join(dict.fromkeys(self.broken.values())))
        self.exhibits = {night_id: shows for night_id, shows in self.exhibits.items() if night_id not in self.broken}
        self.nights = {night_id: night for night_id, night in self.nights.items() if night_id not in self.broken}
        return marks

    def _once(self) -> Iterator[Mark]:
        """Each row once: copies that agree are one, copies that do not are refused."""
        groups: dict[tuple[int, str], list[Mark]] = {}
        for mark in self.marks:
            if mark.written.touched:
                groups.setdefault((mark.night_id, mark.ref), []).append(mark)
        for group in groups.values():
            if all(mark.written == group[0].written for mark in group):
                yield group[0]
            elif not self._is_decided(group[0]):
                for mark in group:
                    self._refuse(mark, _TWICE)

    def _withdraw(self) -> None:
        """A first yes that no longer stands in its row was taken back: it is no half of a later one."""
        standing = {(m.night_id, m.ref) for m in self.marks if verdict.word(m.written.decision) == "approve"}
        seen = {(m.night_id, m.ref) for m in self.marks}
        with self.ledger.read() as conn:
            kept = reviews.assents_on(conn, list(self.exhibits), self.name)
        for night_id, item_id in kept:
            entry = next((e for e in self.exhibits[night_id].entries if e.item_id == item_id), None)
            if entry is None or entry.decision is not None or (night_id, entry.ref) not in seen - standing:
                continue
            with self.ledger.write() as conn:
                actor = policies.under(Actor("system", "morning_review"), self.nights[night_id]["workflow"])
                reviews.withdraw(conn, self.nights[night_id], item_id, self.name, actor=actor, now=self.now)

    def _is_decided(self, mark: Mark) -> bool:
        entry = self.exhibits[mark.night_id].by_ref().get(mark.ref)
        return entry is not None and entry.decision is not None

    def _take(self, mark: Mark, entry: Entry | None) -> None:
        kept = self.kept[mark.night_id].get(mark.ref)
        if entry is None or kept is None:
            self._take_none(mark, kept)
            return
        if entry.decision is not None:
            self._compare(mark, entry)
            return
        if entry.ref == exhibit.ready_ref(mark.night_id) and self._has_spoken(mark.night_id):
            return  # all that was ready was approved by it: an item that was kept out of it takes a decision of its own
        try:
            if mark.shown_hash is not None and kept["shown_hash"] not in (mark.shown_hash, mark.former_hash):
                raise DecisionRefused(_ALTERED)
            for item_id, decision in self._decisions(mark, entry):
                with self.ledger.write() as conn:
                    actor = Actor("human", decision["reviewer"])
                    said = deciding.decide(
                        conn, mark.night_id, item_id, decision, actor=actor, now=self.now, signed=mark.written.signed
                    )  # fmt: skip
                if not said.decided:
                    self.kept_yes[mark.night_id, mark.ref, mark.place] = f"{said.words[0].upper()}{said.words[1:]}."
            if entry.ref == exhibit.ready_ref(mark.night_id):
                self._speak(mark)
        except DecisionRefused as refusal:
            self._refuse(mark, str(refusal))
        except AlreadyThere:
            self._refuse(mark, "Somebody decided this at the same moment. Nothing was changed.")

    def _take_none(self, mark: Mark, kept: Row | None) -> None:
        """A row that speaks for nothing in this night any more, or never did."""
        where = (mark.night_id, mark.ref, mark.place)
        if kept is None:
            self._refuse(mark, _UNKNOWN)
        elif mark.ref == exhibit.ready_ref(mark.night_id):
            ready = [e for e in self.exhibits[mark.night_id].entries if e.look == BUCKETS["ready"]]
            if any(e.decision is not None for e in ready):  # it was taken when it stood
                self.kept_yes[where] = _READY_NO_MORE
            else:
                self._refuse(mark, _READY_TOO_LATE)
        elif words := self._went_as(mark, kept):
            self.kept_yes[where] = words
        else:
            self._refuse(mark, _GONE)

    def _went_as(self, mark: Mark, kept: Row) -> str:
        """What this night's decision was on an item that went into a later night, where the row still says the same."""
        with self.ledger.read() as conn:
            decision = reviews.effective(conn, mark.night_id).get(kept["item_id"])
        if decision is None or not verdict.says_the_same(mark.written, decision, {}):
            return ""
        words = f"{_done(decision, self.nights[mark.night_id])}."
        return words[0].upper() + words[1:]

    def _has_spoken(self, night_id: int) -> bool:
        with self.ledger.read() as conn:
            return reviews.has_spoken(conn, night_id)

    def _speak(self, mark: Mark) -> None:
        night, person = self.nights[mark.night_id], mark.written.reviewer[:128]
        actor = policies.under(Actor("human", person), night["workflow"])
        with self.ledger.write() as conn:
            reviews.speak_for_all(conn, night, surface=self.name, actor=actor, now=self.now)

    def _decisions(self, mark: Mark, entry: Entry) -> Iterator[tuple[int | None, dict[str, Any]]]:
        """The decision of a row: one, or one for each item it speaks for."""
        night = self.nights[mark.night_id]
        declared = workflow_if_known(night["workflow"])
        if entry.ref == exhibit.ready_ref(mark.night_id):
            yield from self._all_ready(mark, entry)
            return
        with self.ledger.read() as conn:
            row = reviews.item(conn, entry.item_id) if entry.item_id is not None else None
        decision = verdict.decision(mark.written, row, declared, surface=self.name)
        if row is not None:
            decision["output_hash"] = row["output_hash"]
        yield entry.item_id, decision

    def _all_ready(self, mark: Mark, entry: Entry) -> Iterator[tuple[int | None, dict[str, Any]]]:
        decision = verdict.decision(mark.written, None, None, surface=self.name)
        if decision["decision"] != "approve":
            raise DecisionRefused("All at once can only be approved; send items back one by one. Nothing was decided.")
        own = {m.ref for m in self.marks if m.night_id == mark.night_id and m.written.begun}
        for other in self.exhibits[mark.night_id].entries:
            if other.waits and other.look == BUCKETS["ready"] and other.decision is None and other.ref not in own:
                yield other.item_id, dict(decision)

    def _compare(self, mark: Mark, entry: Entry) -> None:
        """A row that was decided already: the same again is fine, something else is not taken."""
        decision = entry.decision or {}
        if not verdict.says_the_same(mark.written, decision, {field.name: field.after for field in entry.fields}):
            self._refuse(
                mark,
                f"It was {_done(decision, self.nights[mark.night_id])} already and went on its way. Your change was not taken.",
            )

    def _refuse(self, mark: Mark, words: str) -> None:
        """Remember the words for the row, and put a refusal that is new on record."""
        self.refused[mark.night_id, mark.ref, mark.place] = words
        if mark.said != words:
            with self.ledger.write() as conn:
                workflow_name = self.nights[mark.night_id]["workflow"]
                deciding.refuse(
                    conn, workflow_name, mark.ref[:64] or "unknown", words, reviewer=mark.written.reviewer,
                    surface=self.name, now=self.now,
                )  # fmt: skip

    def answer(self, *, final: bool) -> None:
        """Put back what is missing, and put the answers beside the rows where they are not there already."""
        self._build()
        for shows in self.exhibits.values():
            self._restore(shows)
        told = [
            Told(mark.night_id, mark.ref, mark.place, words)
            for mark in self.marks
            if (words := self._words(mark, final=final)) != mark.said
        ]
        if told:
            self.place.tell(list(self.exhibits.values()), told)
            with self.ledger.write() as conn:
                exhibits.said(conn, {
                    kept["id"]: one.words for one in told if (kept := self.kept[one.night_id].get(one.ref)) is not None
                })  # fmt: skip

    def _restore(self, shows: Exhibit) -> None:
        """An undecided item whose row somebody deleted comes back: only a decision takes it from the review."""
        there = {mark.ref for mark in self.marks if mark.night_id == shows.night_id}
        if any(entry.waits and entry.ref in self.kept[shows.night_id] and entry.ref not in there for entry in shows.entries):
            # What stood there all the time keeps the hash of what was written there: the item may have moved on since.
            shown = [one for one in self.place.export(shows) if one.ref not in there]
            with self.ledger.write() as conn:
                keep(conn, shows, self.name, shown, self.now)

    def _words(self, mark: Mark, *, final: bool) -> str:
        where = (mark.night_id, mark.ref, mark.place)
        refused = self.refused.get(where) or self.kept_yes.get(where)
        if refused is not None:
            return refused
        entry = self.exhibits[mark.night_id].by_ref().get(mark.ref)
        if entry is None:
            return _GONE if mark.ref in self.kept[mark.night_id] else (_UNKNOWN if mark.ref else "")
        return self._state_of(entry, mark, final=final)

    def _state_of(self, entry: Entry, mark: Mark, *, final: bool) -> str:
        night = self.nights[mark.night_id]
        if entry.decision is not None and entry.decision["decision"] == "rework" and entry.left:
            return entry.left
        if entry.decision is not None:
            words = f"{_done(entry.decision, night)}."
            return words[0].upper() + words[1:]
        if entry.ref == exhibit.ready_ref(mark.night_id) and mark.written.touched:
            ready = [e for e in self.exhibits[mark.night_id].entries if e.waits and e.look == BUCKETS["ready"]]
            left = sum(e.decision is None for e in ready)
            return f"{f'{left} ready left to decide.' if left else 'Every ready item has its decision.'} {_SPENT}"
        if entry.waits and mark.written.begun and not mark.written.touched and self._has_spoken(mark.night_id):
            return _LEFT_OUT
        return _WAITS if final and (entry.waits or entry.item_id is None) else ""


def _done(decision: Row, night: Night) -> str:
    zone = ZoneInfo(night["timezone"])
    at = (decision["collected_at"] or decision["decided_at"]).astimezone(zone).strftime("%d %b %H:%M")
    heavy = " (a large edit: it counts as rework)" if decision["heavy"] else ""
    return f"{verdict.SAID[decision['decision']]} by {decision['reviewer']}, {at}{heavy}"
