"""What is read out of a text, whatever the workflow: quotes, figures, addresses, numbers of people; days, sums and percentages."""

import pytest

from overnight.validation import promises, rules


def test_a_verbatim_quote_may_fold_white_space_and_nothing_else() -> None:
    """A line break is no invention; a corrected misspelling is."""
    assert rules.is_verbatim("soft  and\nwarm", "Really soft and warm.")
    assert not rules.is_verbatim("soft and warm", "sofft and warm")
    assert not rules.is_verbatim("  ", "anything")


def test_numbers_in_addresses_words_and_list_markers_are_no_figures() -> None:
    """Only what the text states."""
    assert rules.figures("1. First\n2. Second, see https://x.example/2024/a-3 and model X200, 3,5 kg at 30 %") == {"3.5", "30"}
    assert rules.figures("900g, 65L, 30dB, 10x") == {"900", "65", "30", "10"}, "a unit that follows at once hides no figure"


@pytest.mark.parametrize(
    "text",
    [
        "Fits Honda Civic 2015-2024",
        "Sizes 36/38/40/42",
        "For the 2026-2027 season",
        "Seasons 2024/25 and 2025/26",
        "On 2026-11-23",
    ],
)
def test_years_and_sizes_are_nobodys_telephone_number(text: str) -> None:
    """A listing that cannot be approved for the years a part fits is a listing less."""
    assert rules.personal_data(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "Call 030 1234567",
        "+49 (171) 123-4567",
        "0171/1234567",
        "Sizes 36/38/40/42, call 0171 1234567",
        "Tel. 0711 2012-44",
        "01/23/45/67/89",
        "0475/12/34/56",
        "555-2019-2034",
        "+49 30/123/456 78",
    ],
)
def test_a_telephone_number_is_one(text: str) -> None:
    """Also beside sizes."""
    assert len(rules.personal_data(text)) == 1


def test_an_address_may_hold_brackets() -> None:
    """An encyclopedia's own addresses do; a bracket of the sentence is none of them."""
    url = "https://en.wikipedia.org/wiki/Denier_(textile)"
    assert rules.links(f"See [denier]({url}), or ({url}).") == [url, url]
    assert rules.links("(see https://x.example/a)") == ["https://x.example/a"]
    assert rules.links("[a](/pages/b) and [c](/d_(e))") == ["/pages/b", "/d_(e)"]


@pytest.mark.parametrize(
    "text", ["only 30 decibels", "3 separate compartments", "Set of 2 decorative pillows", "a tent that may 3 people share", "March 3 km a day",
             "Take 3 Marathon shoes", "set of 4 Junior tents", "call 0800-33-44"],
)  # fmt: skip
def test_an_ordinary_word_is_no_month(text: str) -> None:
    """A good answer would fail, and be paid for again."""
    assert promises.days(text) == set()


@pytest.mark.parametrize(
    ("text", "day"),
    [("31 January", (31, 1)), ("Jan. 31st", (31, 1)), ("20 Mai", (20, 5)), ("20. März", (20, 3)), ("3. Oktober", (3, 10)), ("Dez 24", (24, 12)),
     ("until May 4", (4, 5)), ("5 of march", None), ("2027-02-30", (30, 2)), ("2027-31-01", None)],
)  # fmt: skip
def test_a_day_is_read_in_english_and_german(text: str, day: tuple[int, int] | None) -> None:
    """By its month's name, or in ISO form."""
    assert promises.days(text) == ({day} if day else set())


@pytest.mark.parametrize(
    ("text", "offers"),
    [
        ("15 Prozent Rabatt ab 50 Euro", {"15 %", "50 EUR"}), ("10-20 % Rabatt", {"10 %", "20 %"}), ("10% to 20% off", {"10 %", "20 %"}),
        ("20,- statt 30,-", {"20 money", "30 money"}), ("CHF 20 or £5", {"20 CHF", "5 GBP"}), ("5 to 10 EUR", {"5 EUR", "10 EUR"}),
        ("30 nights, 310 g", set()),
    ],
)  # fmt: skip
def test_money_and_percentages_are_read_as_people_write_them(text: str, offers: set[str]) -> None:
    """In the languages our customers write."""
    assert promises.amounts(text) == offers
