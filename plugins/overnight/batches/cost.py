"""Money: tokens times the vendor's price at the batch rate, as Decimal USD. An unknown price is loud, never zero.

Prices come from genai-prices, looked up once per vendor and model; the batch rate is a fact of the vendor.
"""

from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any

from overnight.batches.vendor import Usage, VendorFacts

MILLION = Decimal(1_000_000)


class UnknownPrice(LookupError):
    """No price is known for this model: nothing is bought blind."""


@dataclass(frozen=True, slots=True)
class Price:
    """USD for one token, in real time."""

    input: Decimal
    cache_read: Decimal
    cache_write: Decimal
    cache_write_long: Decimal
    output: Decimal

    def of(self, usage: Usage) -> Decimal:
        """What these tokens cost in real time, in USD."""
        plain = usage.input - usage.cache_read - usage.cache_write
        if plain == usage.input:  # nothing cached: most answers
            return self.input * plain + self.output * usage.output
        return (
            self.input * plain
            + self.cache_read * usage.cache_read
            + self.cache_write * (usage.cache_write - usage.cache_write_long)
            + self.cache_write_long * usage.cache_write_long
            + self.output * usage.output
        )


def price(facts: VendorFacts, model: str) -> Price:
    """The real-time price of a model.

    Raises:
        UnknownPrice: genai-prices does not know the model at this vendor.
    """
    return _price(facts.price_provider, model, facts.long_write_factor)


@lru_cache(maxsize=64)
def _price(provider: str, model: str, long_write_factor: Decimal) -> Price:
    from genai_prices import Usage as Tokens
    from genai_prices import calc_price

    try:
        found = calc_price(Tokens(input_tokens=1, output_tokens=1), model_ref=model, provider_id=provider).model_price
    except LookupError as error:
        raise UnknownPrice(
            f"genai-prices knows no price for model {model!r} of {provider}. Nothing was bought. Correct the workflow's "
            "model, or update the genai-prices package if the model is new."
        ) from error
    plain, output = _mtok(found.input_mtok), _mtok(found.output_mtok)
    if plain is None or output is None:
        raise UnknownPrice(f"genai-prices has no token price for {model!r} of {provider}. Nothing was bought.")
    read, write = _mtok(found.cache_read_mtok), _mtok(found.cache_write_mtok)
    # A vendor that names no price for cached tokens bills them as plain ones.
    return Price(plain, plain if read is None else read, plain if write is None else write, plain * long_write_factor, output)


def _mtok(value: Any) -> Decimal | None:
    """USD per token from USD per million; for prices that rise with the context, the base (our requests are short)."""
    if value is None:
        return None
    base = getattr(value, "base", value)
    return Decimal(str(base)) / MILLION


def batch_cost(facts: VendorFacts, model: str, usage: Usage) -> tuple[Decimal, Decimal]:
    """(batch cost, real-time cost) of one answer in USD."""
    known = price(facts, model)
    realtime = known.of(usage)
    batch = realtime * facts.batch_rate
    if usage.cache_read and facts.cache_read_rate is not None:
        batch += known.cache_read * usage.cache_read * (facts.cache_read_rate - facts.batch_rate)
    return batch, realtime


def without_cache(facts: VendorFacts, model: str, *, input_tokens: int, output_tokens: int) -> Decimal:
    """What these tokens would have cost at the batch rate had no prompt cache been written or read, in USD."""
    return batch_cost(facts, model, Usage(input=input_tokens, output=output_tokens))[0]


def tokens_at_most(text: str) -> int:
    """An upper bound of a text's tokens: half its UTF-8 bytes (English has about four bytes a token, Chinese about three)."""
    return len(text.encode()) // 2 + 8


def ceiling(facts: VendorFacts, model: str, *, shared: int, own: int, output: int, cached: bool) -> Decimal:
    """What one request can cost at most at the batch rate, in USD.

    Args:
        shared, own: tokens of the prompt's stable part and of the item's part, at most.
        output: the request's limit of output tokens.
        cached: whether the stable part is marked: then it may be written to the cache at a higher price.
    """
    known = price(facts, model)
    stable = max(known.input, known.cache_write_long) if cached else known.input
    return (stable * shared + known.input * own + known.output * output) * facts.batch_rate
