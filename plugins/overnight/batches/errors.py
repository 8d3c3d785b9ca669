"""What can go wrong at a vendor, split by the one question that matters first: have we paid yet?"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any


class VendorError(RuntimeError):
    """Something went wrong at a vendor."""


class NotAccepted(VendorError):
    """The vendor holds nothing because of this call: nothing to pay, and it is safe to send again once the cause is gone."""


class AuthFailed(NotAccepted):
    """The key was refused (401, 403)."""


class NoCredit(AuthFailed):
    """The account behind the key has no money left (a 400 at Anthropic and OpenAI): nothing is wrong with what we sent."""


class BadRequest(NotAccepted):
    """The vendor refused what we sent (other 4xx): the same again would be refused again."""


class Gone(NotAccepted):
    """What we asked for is not there (404, 410)."""


class TryLater(NotAccepted):
    """The vendor is busy or out of reach, and did nothing (429, or no connection was made)."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Overtaken(NotAccepted):
    """Another run of the same task took the batch over while this one was uploading: this one creates nothing."""


class MaybeAccepted(VendorError):
    """The call may have been accepted: the answer was lost. Never send again before the vendor was searched (law 2)."""


class CannotLook(VendorError):
    """The vendor could not be searched. "Cannot look" is not "not there"."""


_NO_CREDIT = re.compile(
    r"credit balance|billing_(?:hard_)?limit|billing hard limit|insufficient_quota|billing_error", re.IGNORECASE
)
_UNCONNECTED = {"ConnectError", "ConnectTimeout", "PoolTimeout"}
_AUTH, _GONE, _BUSY, _OPEN = {401, 403}, {404, 410}, {429}, {408, 409}


def classify(error: BaseException) -> VendorError:
    """Turn an official SDK's error into ours. The SDKs share their shapes: a status error has `status_code` and `response`.

    A server error (5xx, 529 overloaded) on a create leaves open what the server did, so it counts as maybe accepted.
    """
    status = getattr(error, "status_code", None) or getattr(error, "code", None)
    name = type(error).__name__
    if not isinstance(status, int):
        if _never_connected(error):
            return TryLater(f"no connection to the vendor ({name})")
        return MaybeAccepted(f"the answer was lost ({name})")
    text = f"HTTP {status} {name}: {_message(error)}"
    # A server error may have been accepted, whatever it says of money.
    if status in (400, 402, 403, 429) and _NO_CREDIT.search(_said(error)):
        return NoCredit(f"{text}; the account has no credit left: add some at the vendor")
    if status in _BUSY:
        return TryLater(text, retry_after(error))
    return _by_status(status)(text)


def _by_status(status: int) -> type[VendorError]:
    if status in _AUTH:
        return AuthFailed
    if status in _GONE:
        return Gone
    # 408 and 409 leave open what the server did, as a server error does.
    return BadRequest if 400 <= status < 500 and status not in _OPEN else MaybeAccepted


@asynccontextmanager
async def translated(
    *errors: type[BaseException],
    looking: bool = False,
    also: Callable[[Any, Exception], bool] | None = None,
    total_s: float | None = None,
) -> AsyncIterator[None]:
    """Let an SDK's errors leave the block as ours; while looking for a lost batch, as `CannotLook`.

    Args:
        also: tells a refused key by the vendor's own signs, where its status does not.
        total_s: seconds for all of it: the SDKs' own timeouts begin anew with every chunk.
    """
    caught: tuple[type[BaseException], ...] = (*errors, TimeoutError)
    try:
        async with asyncio.timeout(total_s):
            yield
    except caught as error:
        ours = classify(error)
        if also is not None and also(error, ours):
            ours = AuthFailed(str(ours))
        raise (CannotLook(str(ours)) if looking else ours) from error


def retry_after(error: BaseException) -> float | None:
    """Seconds the vendor asks us to wait, when it says so in seconds."""
    headers = getattr(getattr(error, "response", None), "headers", {}) or {}
    try:
        return max(0.0, float(headers.get("retry-after", "")))
    except ValueError:
        return None


def _never_connected(error: BaseException) -> bool:
    """Whether no request left this machine. The SDKs speak HTTP with httpx or httpx2: their errors share these names."""
    cause: BaseException | None = error
    while cause is not None:
        if type(cause).__name__ in _UNCONNECTED and type(cause).__module__.startswith("httpx"):
            return True
        cause = cause.__cause__
    return False


def _said(error: Any) -> str:
    """All of the vendor's own words, to look into and never to repeat."""
    return f"{getattr(error, 'message', '')} {getattr(error, 'body', None) or getattr(error, 'details', None)}"


def _message(error: Any) -> str:
    """The vendor's own words, short: an error body can echo what we sent, and that is an item's text."""
    body = getattr(error, "body", None) or getattr(error, "details", None)
    inner = body.get("error", body) if isinstance(body, dict) else None
    if isinstance(inner, dict):
        # Only words of the vendor's own lists; a code says more than its type.
        code, kind = inner.get("code"), inner.get("type") or inner.get("status")
        return str(code if isinstance(code, str) and code else kind or code or "")[:100]
    return ""
