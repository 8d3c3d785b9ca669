"""What the input of a night of 5,000 reviews costs: ours as declared (20 reviews a request) beside the peer's one request for
each review with one fixed prompt of about 600 tokens. Some answers are spoiled, so that ours pays for its repairs.

Both are billed by the local vendor's own count of tokens and the same price, half of real time. Packing and caching are told
apart: what the same requests would have cost had the vendor cached nothing. Output is not compared: each side asks for its own.

The local vendor counts no tokens for an answer's schema, a real one does. Ours always sends one, the peer's plain text has
none: two further shares say what that makes of it, against the peer as it is here and against one that asks for this schema.
"""

import json
import random
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

from benchmarks import ours, peers, servers
from overnight.sandbox.asking import tokens

COUNT = 5_000
SPOILT_EVERY = 500  # one review in so many makes the answer it is in worthless
AT = "openai"
PROMPT_TOKENS = 600
OPENINGS = (
    "I bought this for a walking holiday in the north", "My sister gave me one of these for my birthday",
    "We have used it every weekend since the spring", "Ordered after a friend would not stop praising it",
    "This replaced one that had lasted me nine years", "I was not sure about the size when I ordered",
)  # fmt: skip
PRAISE = (
    "it is warm, light and very well made", "the fabric feels soft and the fit is perfect", "it packs down to nothing",
    "setting it up takes two minutes even in wind", "the colour is even nicer than in the pictures",
    "after three wet days everything inside was still dry", "the price is more than fair for this quality",
)  # fmt: skip
BLAME = (
    "the zip got stuck on the second day", "it came a week late and the box was torn", "the strap rubs after an hour",
    "it runs a whole size small", "the instructions are printed so small that nobody can read them",
    "the seam came apart where it carries the weight", "customer service took ten days to answer",
)  # fmt: skip
ENDINGS = ("I would buy it again.", "For this money I expected more.", "My dog approves, for what it is worth.", "It will do.")


def review(dice: random.Random) -> str:
    """A review of 150 to 400 characters."""
    length = dice.randint(160, 370)
    said = [dice.choice(OPENINGS) + f" number {dice.randint(1, 9999)}."]
    while len(" ".join(said)) < length - 40:
        parts = dice.sample(dice.choice((PRAISE, BLAME, PRAISE + BLAME)), 2)
        said.append(f"{parts[0].capitalize()}{dice.choice((', and ', ', but ', '; '))}{parts[1]}.")
    return " ".join([*said, dice.choice(ENDINGS)])[:400]


def measure(count: int = COUNT) -> dict[str, Any]:
    """Billed input cost in USD, and ours as a share of the peer's."""
    dice = random.Random(11)
    bodies = [review(dice) + (" spoil-this-one" if n % SPOILT_EVERY == 7 else "") for n in range(count)]
    with tempfile.TemporaryDirectory() as name, servers.vendor(Path(name), batch_seconds=2) as vendor:
        peers.connect(vendor.url)
        vendor.spoil("spoil-this-one", "off_schema")
        mine = _our_night(bodies, Path(name))
        schemas = _schema_tokens(vendor)
        theirs = _peer(bodies, Path(name))
    share = round(mine["input_usd"] / theirs["input_usd"], 4)
    return {
        "reviews": count, "characters_on_average": round(sum(map(len, bodies)) / count), "ours": mine,
        "peers": {"LLMBatchOperator": theirs}, "share": share,
        "share_without_caching": round(mine["input_usd_without_caching"] / theirs["input_usd_without_caching"], 4),
        "share_if_our_schema_were_counted": _share(mine, theirs, schemas, 0),
        "share_if_both_sent_one": _share(mine, theirs, schemas, count * _one_schema()),
        "goal": "at most 25 % of the peer's billed input cost, all reviews asked", "met": share <= 0.25 and mine["outcomes"]["locked"] == count,
    }  # fmt: skip


def _our_night(bodies: list[str], folder: Path) -> dict[str, Any]:
    (folder / "ours").mkdir()
    place = ours.Place(folder / "ours")
    place.fill(bodies)
    night = place.planned({})  # as declared
    for batch_id in night.planned:
        night.batch(batch_id)
    night.validate()
    night.export()
    bill = {line["purpose"]: line for line in night.describe()["bill"]}
    assert all(line["vendor"] == AT for line in bill.values()), "somebody else was asked"
    parts = {purpose: _money(line["input_tokens"], line["cache_read_tokens"]) for purpose, line in bill.items()}
    total = _money(*(sum(line[name] for line in bill.values()) for name in ("input_tokens", "cache_read_tokens")))
    return {**total, "by_purpose": parts, "outcomes": night.counts}


def _schema_tokens(vendor: servers.Vendor) -> int:
    """What our requests' schemas come to, by the local vendor's rule of four characters a token."""
    bodies = [json.loads(row[0]) for row in vendor.sql("SELECT body FROM requests")]
    return sum(tokens(json.dumps(body["text"]["format"]["schema"])) for body in bodies)


def _one_schema() -> int:
    """The same for one review alone."""
    from overnight import prompts
    from overnight.workflows.review_sentiment import WORKFLOW

    return tokens(json.dumps(prompts.strict_schema(WORKFLOW)))


def _share(mine: dict[str, Any], theirs: dict[str, Any], our_schemas: int, their_schemas: int) -> float:
    """By tokens: neither side had any from the cache."""
    return round((mine["input_tokens"] + our_schemas) / (theirs["input_tokens"] + their_schemas), 4)


def _peer(bodies: list[str], folder: Path) -> dict[str, Any]:
    line = "You label one customer review for the product team of an online shop: mood, aspects, problem, language. "
    prompt = (line * 30)[: PROMPT_TOKENS * 4]
    operator = peers.llm_batch(AT, bodies, folder / "peer", system_prompt=prompt)
    landed = peers.drive(operator, peers.context())
    rows = [json.loads(row) for row in Path(landed["result_uri"].removeprefix("file://")).read_text().splitlines()]
    assert len(rows) == len(bodies)
    used = [row["usage"] for row in rows]
    return _money(sum(one["input_tokens"] for one in used), sum(one.get("cache_read_tokens") or 0 for one in used))


def _money(used: int, cached: int) -> dict[str, Any]:
    from overnight.batches import cost
    from overnight.batches.vendor import vendor_class

    facts = vendor_class(AT).facts
    price = cost.price(facts, ours.MODELS[AT])
    billed = (price.input * (used - cached) + price.cache_read * cached) * facts.batch_rate
    return {
        "input_tokens": used, "of_them_cached": cached, "input_usd": _usd(billed),
        "input_usd_without_caching": _usd(price.input * used * facts.batch_rate),
    }  # fmt: skip


def _usd(amount: Decimal) -> float:
    return float(round(amount, 6))
