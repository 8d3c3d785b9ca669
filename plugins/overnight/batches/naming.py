"""The names our batches and requests carry at a vendor. Deterministic, so that what we sent can be found again."""

import hashlib

MAX_CUSTOM_ID = 64  # Anthropic: ^[a-zA-Z0-9_-]{1,64}$


def batch_key(workflow: str, night: str, run_id: str, step: int, shard: int, attempt: int) -> str:
    """The key of one batch, e.g. `overnight-blog_drafts-2026-11-23-1f9c0a7be2-s0-b0-a1`.

    The run's mark in it keeps two deployments that share a vendor account, and two nights of one date, apart.
    """
    run = _mark(f"{workflow}\0{night}\0{run_id}")
    return f"overnight-{workflow}-{night}-{run}-s{step}-b{shard}-a{attempt}"


def custom_id(key: str, item_id: int) -> str:
    """The id of one request: the mark of its batch and the item it carries first."""
    return f"{_mark(key)}-i{item_id}"


def belongs(custom: str, key: str) -> bool:
    """Whether a request id found at a vendor is of the batch with this key."""
    return custom.startswith(f"{_mark(key)}-")


def _mark(text: str) -> str:
    return hashlib.blake2s(text.encode(), digest_size=8).hexdigest()
