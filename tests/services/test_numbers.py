"""Numbers of a service's rows keep all of their digits."""

import pytest

from overnight.queues.sources import airtable
from overnight.services import notion


@pytest.mark.parametrize(
    ("number", "text"),
    [(1_234_567, "1234567"), (1_000_001.0, "1000001"), (12345.67, "12345.67"), (5, "5"), (0.1, "0.1"), (-3.0, "-3")],
)
def test_a_number_is_written_with_all_of_its_digits(number: float, text: str) -> None:
    """Two ids of a million were one, and a price of five digits lost its cents."""
    assert notion.plain({"type": "number", "number": number}) == text
    assert airtable._text(number) == text
