"""Lessons: what repeats in reviewers' reasons and edits becomes a proposed rule; a person's yes makes it part of the prompt.

Nothing here changes a prompt by itself. A rule is built in code from codes and counts, quoted phrases are quoted as data,
and the adopted rule stands in `include/prompts/<workflow>/lessons.md`, where git shows who let it in.
"""

import difflib
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from overnight import prompts
from overnight.governance import policy as policies
from overnight.ledger import lessons
from overnight.ledger.audit import Actor
from overnight.ledger.connect import Ledger
from overnight.ledger.rows import Row
from overnight.ledger.states import LessonState
from overnight.review.reasons import RULES
from overnight.workflow import workflow as find_workflow
from overnight.workflow import workflow_names

REPEATS = 3
"""How many different items must say the same before it is a pattern (one is a taste, two a coincidence)."""
MAX_PHRASE_WORDS = 6
MAX_RULE = 300
_WORD = re.compile(r"[\w’'-]+|[^\w\s]")


class LessonRefused(ValueError):
    """The lesson cannot be adopted as it is; nothing was changed."""


def learn(ledger: Ledger, *, actor: Actor, now: datetime) -> int:
    """Look at all decisions and put new patterns before a person; returns how many are new."""
    new = 0
    for name in workflow_names():
        with ledger.write() as conn:
            found = list(patterns(lessons.taught(conn, name)))
            new += lessons.propose(conn, found, workflow=name, actor=policies.under(actor, name), now=now)
    return new


def patterns(taught: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """What repeats, per prompt version: reason codes, and phrases that reviewers take out again and again."""
    by_version: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for decision in taught:
        by_version[decision["prompt_version"]].append(decision)
    for version, decisions in by_version.items():
        yield from _codes(version, decisions)
        yield from _phrases(version, decisions)


def _codes(version: str, decisions: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    by_code: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for decision in decisions:
        if decision["reason_code"] in RULES:
            by_code[decision["reason_code"]].append(decision)
    for code, found in by_code.items():
        if len({d["item_id"] for d in found}) >= REPEATS:
            evidence = [_seen(d, d["note"] or "") for d in found]
            yield {"prompt_version": version, "pattern": f"reason:{code}", "rule": RULES[code], "evidence": evidence}


def _phrases(version: str, decisions: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    seen: dict[str, dict[int, tuple[Mapping[str, Any], str]]] = defaultdict(dict)
    for decision in decisions:
        for gone, instead in removed(decision["draft"] or {}, decision["edited"] or {}):
            seen[gone].setdefault(decision["item_id"], (decision, instead))
    for gone, by_item in seen.items():
        if len(by_item) >= REPEATS:
            evidence = [_seen(d, f"{gone} → {instead or '(nothing)'}") for d, instead in by_item.values()]
            rule = phrase_rule(gone, [instead for _, instead in by_item.values()])
            yield {"prompt_version": version, "pattern": f"phrase:{gone}"[:250], "rule": rule, "evidence": evidence}


def removed(draft: Mapping[str, Any], edited: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Short phrases of a draft that the reviewer took out, each with what stands there now."""
    for name, before in draft.items():
        after = edited.get(name)
        if not isinstance(before, str) or not isinstance(after, str) or before == after:
            continue
        old, new = _WORD.findall(before), _WORD.findall(after)
        for kind, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
            if kind in ("delete", "replace") and b - a <= MAX_PHRASE_WORDS and d - c <= MAX_PHRASE_WORDS:
                gone = " ".join(old[a:b]).strip(" .,;:!?").lower()
                if len(gone) > 2 and re.search(r"\w", gone):
                    yield gone, " ".join(new[c:d])


def phrase_rule(gone: str, instead: Sequence[str]) -> str:
    """The rule in words; what most reviewers wrote instead is named when they agree."""
    (best, count), *_ = Counter(instead).most_common(1)
    agreed = best and count * 2 > len(instead)
    return f"Do not write “{gone}”" + (f"; write “{best}” instead." if agreed else ".")


def _seen(decision: Mapping[str, Any], words: str) -> dict[str, Any]:
    return {"item": decision["key"], "decision": decision["id"], "by": decision["reviewer"], "words": words[:300]}


def adopt(ledger: Ledger, lesson_id: int, *, by: str, rule: str | None = None, now: datetime) -> tuple[Row, str]:
    """Make a lesson part of the prompt; returns it and the new prompt version.

    The file first, then the ledger: interrupted in between, adopting again finds the rule there and only settles it.

    Raises:
        LessonRefused, NoSuchLesson: nothing was changed.
    """
    with ledger.read() as conn:
        lesson = lessons.get(conn, lesson_id)
    if lesson["state"] == LessonState.ADOPTED:
        raise LessonRefused(f"Lesson {lesson_id} was adopted by {lesson['decided_by']} already. Nothing was changed.")
    text = _checked(rule or lesson["rule"])
    declared = find_workflow(lesson["workflow"])
    path = prompts.lessons_path(declared)
    try:
        _add(path, text, declared.title)
    except OSError as error:
        raise LessonRefused(
            f"{path} could not be written ({error.strerror}): the prompts' folder belongs to somebody else, or is read only. "
            "Adopt it where the folder may be written, or add the line there yourself and adopt it again. Nothing was changed."
        ) from error
    with ledger.write() as conn:
        settled = lessons.settle(conn, lesson_id, LessonState.ADOPTED, rule=text, by=by, now=now)
    return settled, prompts.version(declared)


def _add(path: Path, rule: str, title: str) -> None:
    """The rule as a line of the file, unless it stands there."""
    standing = path.read_text(encoding="utf-8") if path.exists() else f"# What reviewers taught us: {title}\n\n"
    if f"- {rule}\n" in standing:
        return
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(f"{standing.rstrip()}\n- {rule}\n" if standing.rstrip().startswith("-") or "\n- " in standing
                       else f"{standing.rstrip()}\n\n- {rule}\n", encoding="utf-8")  # fmt: skip
    partial.replace(path)


def dismiss(ledger: Ledger, lesson_id: int, *, by: str, now: datetime) -> Row:
    """A person says no; the pattern is not proposed again under the same prompt version."""
    with ledger.write() as conn:
        lesson = lessons.get(conn, lesson_id)
        if lesson["state"] != LessonState.PROPOSED:
            raise LessonRefused(f"Lesson {lesson_id} is {lesson['state']} already. Nothing was changed.")
        return lessons.settle(conn, lesson_id, LessonState.DISMISSED, rule=lesson["rule"], by=by, now=now)


def _checked(rule: str) -> str:
    text = " ".join(rule.split())
    if not 5 <= len(text) <= MAX_RULE:
        raise LessonRefused(f"A rule has 5 to {MAX_RULE} characters on one line; this one has {len(text)}. Nothing was changed.")
    return text
