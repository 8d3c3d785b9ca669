"""What a vendor must not see is replaced before it is asked and put back in what it answers: 250 people, five languages."""

import json
import re
import unicodedata
from collections import Counter
from typing import Any

import pytest

from overnight.batches import packing, plan
from overnight.governance import masking, names
from overnight.governance.masking import Masker, left, reveal
from overnight.governance.policy import DataAccess
from overnight.workflow import workflow
from tests.support.people_data import PLAIN, Person, people, undeclared

PEOPLE = list(people())


def masker(person: Person) -> Masker:
    return Masker({"customer_name": person.name, "address": person.address})


def test_the_corpus_is_what_the_promise_speaks_of() -> None:
    """At least 200 people in five languages, each with six things to hide."""
    assert len(PEOPLE) >= 200
    assert len({person.language for person in PEOPLE}) == 5
    assert len({secret for person in PEOPLE for secret in person.secrets}) > 1_200


@pytest.mark.parametrize("person", PEOPLE, ids=lambda p: f"{p.language} {p.name}")
def test_nothing_personal_is_left_and_everything_comes_back(person: Person) -> None:
    """Names in every form, e-mail, phone, card, order number, address; and the text is restored letter by letter."""
    hiding = masker(person)
    hidden = hiding.hide(person.text)
    words = [word for word in re.split(r"[\s,]+", person.name) if len(word) > 2]
    for secret in (*person.secrets, *words):
        assert secret.casefold() not in hidden.casefold(), (secret, hidden)
    assert reveal(hidden, hiding.masks) == person.text
    assert len(set(hiding.masks.values())) == len(hiding.masks)


def test_one_person_has_one_number_in_all_forms_and_everywhere_in_the_row() -> None:
    """The model sees one person, and each form comes back as it was written."""
    hiding = Masker({"name": "Anna Kowalska"})
    row = {"title": "Annie się podoba", "body": "Anna Kowalska, Anny, KOWALSKIEJ; Anna", "tags": ["Kowalską"], "stars": 5}
    hidden = hiding.hide(row)
    assert reveal(hidden, hiding.masks) == row
    numbers = Counter(re.sub(r"[\[\].]", " ", name).split()[0] for name in hiding.masks)
    assert set(numbers) <= {"NAME_1", "NAME_2", "NAME_3"}, "the whole name, the first, the last"
    assert hidden["body"].endswith(hidden["body"].split("; ")[1])
    assert hidden["stars"] == 5


@pytest.mark.parametrize(
    ("declared", "text"),
    [
        ("Marek Nowak", "Z Markiem, dla Marka Nowaka, Nowakowi"), ("Paweł Wójcik", "Pawła, Pawłowi, Wójcikowi, Wojcik"),
        ("Magda Lis", "Magdzie, Magdy, Magdo, Lisa"), ("Marta Zając", "Marcie, Martę, Zającowi"), ("Monika Bąk", "Monice, Moniką"),
        ("Jürgen Groß", "Juergen Gross, Jürgens, JÜRGEN"), ("Søren Ødegård", "Søren Ødegård, Soren"),
        ("José Ñíguez", "Jose, JOSÉ, Niguez"), ("Jean-Luc Élie", "Jean Luc, Elie, ÉLIE"), ("Hans von der Au", "Hans von der Au, Hans’"),
        ("O'Neill, Tara", "Tara O'Neill, Tara’s"), ("Li Bo", "Li Bo, Li, Bo's"),
    ],
)  # fmt: skip
def test_declared_names_are_hidden_in_every_case_and_spelling(declared: str, text: str) -> None:
    """Genitives, Slavic cases with their consonants, lost vowels, missing accents, capitals."""
    hiding = Masker({"customer_name": declared})
    hidden = hiding.hide(text)
    rest = re.sub(r"\[NAME_\d+(?:\.\d+)?\]", "", hidden)
    assert re.findall(r"[^\W\d_]{2,}", rest) in ([], ["dla"], ["von", "der"], ["Z", "dla"]), hidden
    assert reveal(hidden, hiding.masks) == text


def test_numbers_that_are_nobodys_stay() -> None:
    """Sizes, prices, dates, model numbers, and cards that fail their check digit."""
    text = "Size 42, 3.5 kg, 12.11.2026, 2026-11-23, EAN 4006381333931 (no), model GTX-2000, 1234 5678 9012 3456, 0000 0000 0000 0000"
    assert Masker().hide(text.replace("4006381333931", "400638133393")) == text.replace("4006381333931", "400638133393")


def test_ibans_are_hidden_by_their_check_digits() -> None:
    """In one piece and in groups of four."""
    hiding = Masker()
    hidden = hiding.hide("Konto DE89 3704 0044 0532 0130 00 BITTE, or GB82WEST12345698765432.")
    assert hidden == "Konto [IBAN_1] BITTE, or [IBAN_2]."


def test_what_a_model_does_to_placeholders_is_put_right() -> None:
    """Lower case, lost brackets, genitives; and [NAME_1] is not found inside [NAME_12]."""
    hiding = Masker({"name": "Ada"})
    hiding.hide("Ada wrote to ada@example.com")
    assert reveal({"a": ["Dear name_1, [Name_1]'s mail [EMAIL_1]", 3]}, hiding.masks) == {
        "a": ["Dear Ada, Ada's mail ada@example.com", 3]
    }
    assert reveal("[NAME_12] NAME_1.7 MYNAME_1", hiding.masks) == "[NAME_12] NAME_1.7 MYNAME_1"
    assert left(reveal("[NAME_9] and [NAME_1]", hiding.masks)) == ["[NAME_9]"]


def test_a_placeholder_that_stands_in_the_row_itself_is_never_confused_with_ours() -> None:
    """Somebody queues the words [NAME_1]."""
    hiding = Masker({"name": "Ada"})
    text = "Ada says [NAME_1] and [EMAIL_1.2]; ada@example.com"
    hidden = hiding.hide(text)
    assert "[NAME_2]" in hidden
    assert "[EMAIL_2]" in hidden
    assert reveal(hidden, hiding.masks) == text


def test_a_text_that_looks_like_a_pattern_is_text() -> None:
    """Nothing of a row is ever read as a regular expression or as JSON."""
    evil = 'A.*(b)+ [x] \\ "quoted" {"y": 1}'
    hiding = Masker({"address": evil, "name": "(.*"})
    hidden = hiding.hide({"body": f"at {evil}, yes"})
    assert reveal(hidden, hiding.masks) == {"body": f"at {evil}, yes"}
    assert json.loads(json.dumps(hidden)) == hidden


@pytest.mark.parametrize("text", ["x" * 200_000, "1" * 50_000, "a@" * 20_000, "DE00 " * 10_000, "Anna " * 20_000])
def test_a_text_made_to_be_slow_is_masked_and_comes_back(text: str) -> None:
    """What the time is, `make bench` says (`benchmarks/masking.py`); here nothing is lost of it, and no name is left in it."""
    masker = Masker({"name": "Anna Maria Kowalska"})
    hidden = masker.hide(text)
    assert "Anna" not in hidden
    assert reveal(hidden, masker.masks) == text


def measured() -> dict[str, dict[str, Any]]:
    """Recall and precision of names nobody declared, for each language."""
    found, there, right, cued = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    for language, text, name, cue in undeclared():
        there[language] += 1
        spans = [text[a:b] for a, b in names.in_text(text)]
        hit = any(name in span or span in name for span in spans)
        right[language] += hit
        cued[language] += hit and cue
        found[language] += len(spans)
    for language, texts in PLAIN.items():
        found[language] += sum(len(list(names.in_text(text))) for text in texts)
    return {
        language: {
            "recall": right[language] / there[language], "recall with a cue": cued[language] / (there[language] * 3 / 4),
            "precision": right[language] / found[language],
        }
        for language in there
    }  # fmt: skip


def test_undeclared_names_beside_a_cue_are_found_in_every_language() -> None:
    """A title, a greeting, a signature. Names that stand alone are missed: that is why a policy may withhold such rows."""
    for language, figures in measured().items():
        assert figures["recall with a cue"] >= 0.9, (language, figures)
        assert figures["precision"] >= 0.85, (language, figures)
        assert figures["recall"] < 1, "the corpus holds names without a cue on purpose"


def test_a_policy_names_only_patterns_there_are() -> None:
    """A typing error is no silence."""
    assert set(masking._FINDERS) == set(masking.PATTERNS)


@pytest.mark.parametrize(
    "text",
    ["de89 3704 0044 0532 0130 00", "De89370400440532013000", "DE89-3704-0044-0532-0130-00", "IBANDE89370400440532013000", "IBAN: DE89 3704 0044 0532 0130 00",
     "DE89\u00a03704\u00a00044\u00a00532\u00a00130\u00a000", "4111  1111  1111  1111", "4111\u202f1111\u202f1111\u202f1111"],
)  # fmt: skip
def test_account_and_card_numbers_are_found_as_people_copy_them(text: str) -> None:
    """From a bank's page, in small letters, with the word before it."""
    hidden = Masker().hide(f"Pay to {text}, please")
    assert not re.search(r"\d{4}", hidden), hidden


@pytest.mark.parametrize(
    ("name", "text"),
    [("İbrahim Kaya", "Ask İbrahim"), ("王小明", "我叫王小明,你好"), ("محمد", "لمحمد"), ("Sean O'Brien", "Mr O’Brien"), ("Sean O’Brien", "Mr O'Brien"),
     ("Nguyễn Lan", "Nguyen wrote"), ("Nguyen Lan", "Nguyễn wrote")],
)  # fmt: skip
def test_declared_names_are_hidden_in_every_script_and_with_every_apostrophe(name: str, text: str) -> None:
    """Wherever they stand."""
    masker = Masker({"customer_name": name})
    hidden = masker.hide(text)
    assert "[NAME" in hidden
    assert not any(part in hidden for part in (*name.split(), "O’Brien", "O'Brien", "Nguyễn", "Nguyen"))


def test_a_declared_field_goes_whole_whatever_it_is_made_of() -> None:
    """A customer's number is a number."""
    masker = Masker({"customer_no": 40812345, "customer_name": "İbrahim Kaya"})
    assert masker.hide_field("customer_name", "İbrahim Kaya") == "[NAME_1]"
    number = masker.hide_field("customer_no", 40812345)
    assert str(number).startswith("[")
    assert masking.reveal(f"{number} of [NAME_1]", masker.masks) == "40812345 of İbrahim Kaya"


@pytest.mark.parametrize(
    ("name", "comment"),
    [("Name", "Fine"), ("Max Name", "Fine"), ("1", "Fine"), ("Anna Smith", "Signed as [NAME_1], zip broke"),
     (unicodedata.normalize("NFD", "Andrés Ibáñez"), unicodedata.normalize("NFD", "call Andrés")), ("Andrés", unicodedata.normalize("NFD", "call Andrés"))],
)  # fmt: skip
def test_what_goes_out_of_a_row_comes_back_letter_by_letter(name: str, comment: str) -> None:
    """A placeholder is never searched for names itself, and one that the row holds is nobody's of ours."""
    declared, access = workflow("returns_triage"), DataAccess(fields=("customer_name", "comment"), personal=("customer_name",))
    item = {"id": 1, "input": {"customer_name": name, "comment": comment}, "context": None, "note": None, "output": None}
    asked = plan.question(declared, declared.vendor, declared.model)
    (entry,) = packing.entries(declared, asked, [item], access=access)
    (sent,) = [json.loads(line) for line in entry.content.split("\n") if line.startswith("{")]
    assert sent["customer_name"].startswith("[")
    assert unicodedata.normalize("NFC", "Andrés") not in unicodedata.normalize("NFC", str(sent))
    assert masking.reveal(sent, entry.masks) == item["input"]
    assert set(masking.left(masking.reveal(sent, entry.masks))) == set(masking.left(item["input"]))
