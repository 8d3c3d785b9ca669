"""Two hundred and fifty invented customers in five languages, and what they write: names in every case, numbers as people type them."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from faker import Faker

LOCALES = {"en": "en_US", "de": "de_DE", "fr": "fr_FR", "es": "es_ES", "pl": "pl_PL"}
EACH = 50
_PHONES = {
    "en": ["(212) 555-{:04}", "+1 415 555 {:04}", "020 7946 {:04}"], "de": ["+49 30 23125{:03}", "030 23125 {:03}", "0151 234{:05}"],
    "fr": ["+33 1 99 00 {:02} 12", "06 39 98 {:02} 34", "01.99.00.{:02}.56"], "es": ["+34 612 345 {:03}", "612 34 5{:03}", "910 050 {:03}"],
    "pl": ["+48 512 345 {:03}", "512-345-{:03}", "22 123 4{:03}"],
}  # fmt: skip
_FORMS = {  # how a name is inflected beside its plain form; {f} first, {l} last name
    "en": ["{f}'s", "{l}’s", "{f} {l}'s"],
    "de": ["{f}s", "{l}s", "{f} {l}s"],
    "fr": ["{f}", "{L}", "{f} {l}"],
    "es": ["{f}", "{L}", "{f} {l}"],
}
_SAYS = {
    "en": "Hi, it is {name} here. The jacket in order {order} leaks. Call {phone} or write to {email}. {form} parcel went to {address}. Card {card}.",
    "de": "Guten Tag, hier schreibt {name}. Die Jacke aus {order} ist undicht. Bitte {phone} anrufen oder {email}. {form} Paket ging an {address}. Karte {card}.",
    "fr": "Bonjour, ici {name}. La veste de la commande {order} fuit. Appelez le {phone} ou {email}. Le colis de {form} est parti à {address}. Carte {card}.",
    "es": "Hola, soy {name}. La chaqueta del pedido {order} pierde agua. Llamen al {phone} o a {email}. El paquete de {form} fue a {address}. Tarjeta {card}.",
    "pl": "Dzień dobry, tu {name}. Kurtka z zamówienia {order} przecieka. Proszę dzwonić {phone} lub {email}. Paczka dla {form} poszła na {address}. Karta {card}.",
}
_UNDECLARED = {  # with a cue beside the name, and without one
    "en": (
        ["Please ask for Mrs. {name}.", "Thanks, {name}", "Dear {name}, the zip broke."],
        ["The box was opened by {name} already."],
    ),
    "de": (
        ["Bitte an Frau {name} wenden.", "Viele Grüße, {name}", "Ich heiße {name} und bin enttäuscht."],
        ["Das Paket nahm {name} an."],
    ),
    "fr": (
        ["Demandez Madame {name}.", "Cordialement, {name}", "Je m'appelle {name}."],
        ["Le paquet a été ouvert par {name} hier."],
    ),
    "es": (["Pregunten por la señora {name}.", "Saludos, {name}", "Me llamo {name}."], ["La caja la abrió {name} ayer."]),
    "pl": (["Proszę pytać o panią {name}.", "Pozdrawiam, {name}", "Nazywam się {name}."], ["Paczkę odebrał już {name} wczoraj."]),
}
PLAIN = {  # nobody is named: what is found here is found wrongly
    "en": ["The Rain Jacket runs small.", "Thanks for nothing.", "Hello again, the Summit Tent is fine.", "Dear team, it works."],
    "de": [
        "Die Regenjacke fällt klein aus.",
        "Hallo zusammen, alles gut.",
        "Frau und Kind sind begeistert.",
        "Viele Grüße aus Köln.",
    ],
    "fr": ["La veste taille petit.", "Bonjour à tous, rien à dire.", "Madame, la veste fuit.", "Cordialement."],
    "es": ["La chaqueta talla pequeño.", "Hola a todos, todo bien.", "Saludos cordiales.", "Señora, la chaqueta pierde agua."],
    "pl": ["Kurtka jest za mała.", "Dzień dobry wszystkim.", "Pozdrawiam serdecznie.", "Pani w sklepie była miła."],
}


@dataclass(frozen=True)
class Person:
    """One invented customer: what the row declares, and what is in the text."""

    language: str
    name: str
    email: str
    phone: str
    card: str
    order: str
    address: str
    text: str
    secrets: tuple[str, ...] = field(default=())  # strings that must not reach a vendor


def people(seed: int = 7) -> Iterator[Person]:
    """The corpus; the same seed makes the same people."""
    for language, locale in LOCALES.items():
        fake, dice = Faker(locale), random.Random(f"{seed} {language}")
        fake.seed_instance(seed)
        for number in range(EACH):
            yield _person(language, fake, dice, number)


def _person(language: str, fake: Faker, dice: random.Random, number: int) -> Person:
    first, last = fake.first_name(), fake.last_name()
    phone = dice.choice(_PHONES[language]).format(number)
    card = fake.credit_card_number(card_type=dice.choice(["visa", "mastercard", "amex"]))
    shown_card = " ".join(card[i : i + 4] for i in range(0, len(card), 4)) if number % 2 else card
    order, email = f"FW-{dice.randrange(10**5, 10**7)}", fake.email()
    address = fake.address().replace("\n", ", ")
    form = dice.choice(polish(first, last) if language == "pl" else _FORMS[language]).format(f=first, l=last, L=last.upper())
    text = _SAYS[language].format(
        name=f"{first} {last}", order=order, phone=phone, email=email, form=form, address=address, card=shown_card
    )
    return Person(
        language, f"{first} {last}", email, phone, card, order, address, text, (email, phone, shown_card, order, address, form)
    )


def polish(first: str, last: str) -> list[str]:
    """Genitive and dative, as a Pole writes them; the common patterns."""
    made = []
    for word in (first, last):
        if word.endswith(("ski", "cki", "dzki")):
            made += [f"{word}ego", f"{word}emu"]
        elif word.endswith(("ska", "cka")):
            made += [f"{word[:-1]}iej", f"{word[:-1]}ą"]
        elif word.endswith("ka"):
            made += [f"{word[:-2]}ki", f"{word[:-2]}ce"]
        elif word.endswith("ta"):
            made += [f"{word[:-1]}y", f"{word[:-2]}cie"]
        elif word.endswith("da"):
            made += [f"{word[:-1]}y", f"{word[:-2]}dzie"]
        elif word.endswith("ia"):
            made += [f"{word[:-1]}", f"{word[:-1]}ę"]
        elif word.endswith("a"):
            made += [f"{word[:-1]}y", f"{word[:-1]}ę"]
        elif word.endswith("ek"):
            made += [f"{word[:-2]}ka", f"{word[:-2]}kowi"]
        elif word[-1] not in "aeiouyąę":
            made += [f"{word}a", f"{word}owi"]
        else:
            made.append(word)
    return made


def undeclared(seed: int = 7) -> Iterator[tuple[str, str, str, bool]]:
    """(language, text, name, whether a cue stands beside it)."""
    for language, locale in LOCALES.items():
        fake = Faker(locale)
        fake.seed_instance(seed)
        cued, bare = _UNDECLARED[language]
        for _ in range(10):
            for template in (*cued, *bare):
                name = f"{fake.first_name()} {fake.last_name()}"
                yield language, template.format(name=name), name, template in cued
