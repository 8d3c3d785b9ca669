"""What the shipped lists of words call dangerous, a threat or an accusation, and what they do not."""

import csv

import pytest
from pydantic import TypeAdapter, ValidationError

from overnight.validation import lexicon
from overnight.workflows._fields import Money, Number, Whole
from overnight.workflows.returns_triage import mapped
from tests.workflows.test_numbers import needs

DANGERS = (
    "There was a fire in my kitchen because of this lamp", "It burst into flames", "The kettle filled the kitchen with smoke",
    "Smoke everywhere after ten minutes", "I got shocked when I plugged it in", "It shocks you when you touch the metal",
    "The battery exploded in my hand", "It melted and sparks flew", "My daughter got hurt", "It sliced my finger",
    "Es hat Feuer gefangen", "Ich bekam einen Stromschlag", "After an hour it caught\nfire on the shelf.", "I burned my hand",
    "my hand was bleeding", "He cut his finger", "caused a fire", "got a shock", "It burnt my fingers",
    "My daughter swallowed her bead", "The baby swallowed it up", "swallowed in one bite", "My skin burnt red", "I got burned by the candle",
    "It burned the red rug", "My ears were bleeding", "It made me bleed", "My gums bled on the first use", "bled all over the sheets",
    "it cut me in the hand", "It melted and dripped",
)  # fmt: skip
NONE = (
    "a lovely burnt orange color", "burnt-orange", "this dress swallowed me", "swallowed up my frame", "darker colors bleed in the wash",
    "cut me in the strangest way", "I burn myself a disc", "I was shocked at how good it is", "I was shocked when I received them",
    "cut my order in half", "It burst into tears", "an explosion of flavor", "the cheese melted perfectly", "This is a fire engine for my son",
    "a lamp with smoke glass", "it burns cds",
)  # fmt: skip
THREATS = (
    "I will dispute this charge", "I called my bank", "my bank will reverse it", "this was recalled", "a product recall",
    "I told the newspaper", "I will contact a lawyer",
    "I have spoken to my bank about this payment", "I notified my bank", "The recalled lamp", "subject to recall", "recalled last month",
)  # fmt: skip
PEACEFUL = ("refund to my bank account, please", "As I recall it was fine", "wrapped in newspaper", "it came in a newspaper")


@pytest.mark.parametrize("text", DANGERS)
def test_a_danger_is_found_in_the_words_people_use(text: str) -> None:
    """A person looks today; no model is asked first."""
    assert lexicon.hits("safety", text)


@pytest.mark.parametrize("text", NONE)
def test_a_colour_a_disc_and_a_wide_dress_are_no_danger(text: str) -> None:
    """False alarms at night are the end of listening to them."""
    assert lexicon.hits("safety", text) == []


@pytest.mark.parametrize(("text", "threat"), [*((text, True) for text in THREATS), *((text, False) for text in PEACEFUL)])
def test_a_threat_is_told_from_a_bank_account(text: str, threat: bool) -> None:
    """Both are in a return's comment."""
    assert bool(lexicon.hits("legal", text)) is threat


@pytest.mark.parametrize(
    ("text", "accuses"),
    [
        ("The customer is lying", True), ("the buyer has stolen it", True), ("He lied about it", True), ("a serial returner", True),
        ("parcel stolen from the porch", False), ("the rug is not lying flat", False), ("The rug is lying on the floor", False),
    ],
)  # fmt: skip
def test_an_accusation_has_a_person_in_it(text: str, accuses: bool) -> None:
    """A parcel that was stolen accuses no customer."""
    assert bool(lexicon.hits("accusations", text)) is accuses


def test_of_real_reviews_few_are_called_dangerous() -> None:
    """Among 2,500 reviews of clothing none tells of a danger; a handful of false alarms is what a list of words costs."""
    with needs("reviews_clothing.csv").open(encoding="utf-8", newline="") as file:
        texts = [max(row.values(), key=lambda cell: len(cell or "")) or "" for row in csv.DictReader(file)]
    assert len(texts) == 2500
    assert sum(bool(lexicon.hits("safety", text)) for text in texts) <= 8


@pytest.mark.parametrize("code", ["too-small", "TOO_BIG", "Too large"])
def test_the_commonest_code_of_apparel_says_size(code: str) -> None:
    """A handle of Shopify's own."""
    assert mapped(code) == ("size_fit",)


@pytest.mark.parametrize(
    ("cell", "number"),
    [
        ("12.0", 12.0), ("$1,200.50", 1200.5), ("12,50", 12.5), ("12,50 €", 12.5), ("€49,90", 49.9), ("1.299,00", 1299.0), ("7,5", 7.5),
        ("1,234,567", 1_234_567.0), ("-0,5", -0.5), ("0,125", 0.125), ("12,500", 12_500.0), ("1.234.567,89", 1_234_567.89),
    ],
)  # fmt: skip
def test_a_decimal_comma_is_one(cell: str, number: float) -> None:
    """A queue in Berlin: 49,90 is fifty euros and not five thousand."""
    assert TypeAdapter(Number).validate_python(cell) == number


@pytest.mark.parametrize("cell", ["0,125,000", "1,23,456", "1.2.3", "12,3,4", "12 or 13"])
def test_what_is_no_number_is_refused(cell: str) -> None:
    """And never read as another one."""
    with pytest.raises(ValidationError):
        TypeAdapter(Number).validate_python(cell)


@pytest.mark.parametrize(("cell", "number"), [("12", 12), ("12.0", 12), ("12,00", 12), ("1,200", 1200), ("1.200,0", 1200)])
def test_a_whole_number_may_have_its_noughts(cell: str, number: int) -> None:
    """As a spreadsheet hands it over."""
    assert TypeAdapter(Whole).validate_python(cell) == number


@pytest.mark.parametrize(
    ("cell", "sum_"), [("1299", 1299.0), ("1,299.00", 1299.0), ("12.99", 12.99), ("0.125", 0.125), ("12.5", 12.5)]
)
def test_a_sum_is_read_as_it_is_meant(cell: str, sum_: float) -> None:
    """The usual ones."""
    assert TypeAdapter(Money).validate_python(cell) == sum_


def test_a_sum_that_could_be_two_is_asked_about() -> None:
    """1.299 in a German sheet is thirteen hundred euros; read as one and a bit, a parcel of that worth is nobody's matter."""
    with pytest.raises(ValidationError, match="could be 1299 or 1.29: write the one you mean"):
        TypeAdapter(Money).validate_python("1.299 €")


@pytest.mark.parametrize("cell", ["1.000", "10.000"])
def test_a_whole_number_that_could_be_two_is_asked_about(cell: str) -> None:
    """Ten thousand pieces in a German sheet are not ten."""
    with pytest.raises(ValidationError, match="write the one you mean"):
        TypeAdapter(Whole).validate_python(cell)


@pytest.mark.parametrize(
    "text",
    ["I burned my hand", "it caught fire", "he got a rash", "allergic reaction", "she nearly choked", "mouldy inside",
     "gave me a shock", "sharp edge", "it overheats", "went to the hospital", "cut my finger", "my dog swallowed it"],
)  # fmt: skip
def test_safety_words_are_found(text: str) -> None:
    """Words of harm, in the forms people write them."""
    assert lexicon.hits("safety", text)


@pytest.mark.parametrize(
    "text", ["sharp looking dress", "I was shocked at how good it is", "burn out at work", "choked up with joy", "fired up"]
)
def test_harmless_uses_of_the_same_words_are_not(text: str) -> None:
    """A digest full of false alarms is not read."""
    assert not lexicon.hits("safety", text)


@pytest.mark.parametrize(
    "review",
    [
        "The charger caused a fire in our kitchen", "I got a shock when I plugged it in", "It gave my son a shock", "I saw smoke and unplugged it",
        "The plug was smoking after ten minutes", "It started a small fire", "It gives you an electric shock", "It shocked my son",
        "Caused a small electrical fire", "Smoke started pouring out", "I was given a shock by the plug", "The house fire was its fault",
    ],
)  # fmt: skip
def test_what_people_write_of_fire_shock_and_smoke_escalates(review: str) -> None:
    """Matched in code, whatever the model says (domain 7.7)."""
    assert lexicon.hits("safety", review)


@pytest.mark.parametrize(
    "review",
    [
        "I got a shock when I saw the price", "The fireplace rug is lovely", "A smoky grey, as shown", "I got a shock absorber for it",
        "Nice to sit by a fire in the evening", "The fire in our fireplace", "Just start Fire TV", "He was smoking when it came",
    ],
)  # fmt: skip
def test_harmless_words_do_not(review: str) -> None:
    """Where the neighbouring words give them away."""
    assert not lexicon.hits("safety", review)


@pytest.mark.parametrize(
    "text",
    ["the strap snapped and I fell and broke my wrist", "my son broke his arm", "the glass shattered in my hand", "a magnet came loose",
     "my baby put it in his mouth", "I had to go to A&E", "I got food poisoning", "the battery swelled", "it leaked acid on my skin",
     "my daughter was cut by the edge", "Kurzschluss!", "es hat gebrannt", "Brandgefahr", "he fell and hit his head"],
)  # fmt: skip
def test_injuries_do_not_wait_for_the_morning(text: str) -> None:
    """Matched in code, before any model (domain 7.7)."""
    assert lexicon.hits("safety", text)


@pytest.mark.parametrize(
    "text",
    [
        "They fell apart after two weeks",
        "it fell to pieces",
        "The doll broke her arm",
        "broke a rib of the umbrella",
        "The dress was cut on the small side",
        "non-poisonous paint",
        "My dog carries it in his mouth",
        "I fell in love with it",
        "it broke after a week",
        "my arm fits well",
        "prices were cut by half",
        "acid green",
    ],
)
def test_harmless_falls_and_breaks_are_none(text: str) -> None:
    """A list that cries wolf is not read."""
    assert not lexicon.hits("safety", text)
