"""Names nobody declared, in free text: found by what people write beside them. A help, not a promise.

No model and no list of names: a title, a greeting, a signature or "my name is" before a capital letter, in five languages. Names
that stand alone are missed; how many, and how often a word is taken for a name, is measured for each language
(tests/governance/test_masking.py). A policy that must be sure withholds such rows, or declares the field.
"""

import re
from collections.abc import Iterator

_NAME = r"(?P<name>[^\W\d_a-zà-öø-ÿąćęłńóśźż][^\W\d_]+(?:[-\s][^\W\d_a-zà-öø-ÿąćęłńóśźż][^\W\d_]+){0,2})"
_CUES = (
    # en
    r"(?i:my name is|i am called|this is|signed,?|regards,?|thanks,?|cheers,?|sincerely,?|dear|hi|hello)",
    r"(?i:mr\.?|mrs\.?|ms\.?|miss|dr\.?)",
    # de
    r"(?i:mein name ist|ich heiße|ich heisse|herrn?|frau|grüße,?|grüßen,?|gruß,?|lieber?|hallo|gez\.)",
    # fr
    r"(?i:je m['’]appelle|mon nom est|monsieur|madame|mademoiselle|m\.|mme|mlle|cordialement,?|bonjour|cher|chère|salutations,?)",
    # es
    r"(?i:me llamo|mi nombre es|señora?|señorita|sra?\.|don|doña|saludos,?|atentamente,?|hola|estimad[oa])",
    # pl
    r"(?i:nazywam się|mam na imię|pan|pani|pana|panu|panem|panią|pozdrawiam,?|dzień dobry,?|szanown[ay] pani?|cześć,?)",
)
_PATTERN = re.compile(rf"(?<!\w)(?:{'|'.join(_CUES)})\s+{_NAME}")


def in_text(text: str) -> Iterator[tuple[int, int]]:
    """Where a name seems to stand."""
    at = 0
    while (hit := _PATTERN.search(text, at)) is not None:
        yield hit.span("name")
        at = hit.end("name")
