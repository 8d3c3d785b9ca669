"""Reading public pages politely: robots.txt, our own name, one host at a time, small, and never the house's own network.

What comes back is data. Airflow connection `overnight_web` (optional): `proxy`, `user_agent`, `per_second` in its extra.
"""

import codecs
import ipaddress
import socket
import time
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

import httpx

from overnight.services import settings
from overnight.services.pace import Pace
from overnight.services.settings import ServiceError

CONN_ID = "overnight_web"
USER_AGENT = "OvernightScan/1.0 (competitor scan of an online shop; asks robots.txt)"
MAX_BYTES = 3_000_000
MOST_SECONDS = 60
"""A page that trickles in keeps the night waiting no longer."""
MAX_REDIRECTS = 3
ROBOTS_REDIRECTS = 5
_TIMEOUT = httpx.Timeout(20.0, connect=10.0)


class NotAllowed(ServiceError):
    """The page's robots.txt, or our own care for private networks, says no. Nothing was fetched."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page as it was read."""

    url: str
    status: int
    text: str


class Web:
    """A polite reader, to be used as a context: it keeps one client and each host's robots.txt."""

    def __init__(self) -> None:
        try:
            extra = settings.of(CONN_ID).extra
        except ServiceError:
            extra = {}
        self._proxy: str | None = extra.get("proxy") or None
        self._agent = str(extra.get("user_agent") or USER_AGENT)
        self._per_second = float(extra.get("per_second") or 1)
        self._robots: dict[str, object | None] = {}
        self._client = httpx.Client(
            proxy=self._proxy, timeout=_TIMEOUT, headers={"User-Agent": self._agent}, follow_redirects=False, trust_env=False
        )  # fmt: skip

    def __enter__(self) -> "Web":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def read(self, url: str) -> Page:
        """A page's text.

        Raises:
            NotAllowed: robots.txt forbids it, or it leads into a private network.
            ServiceError: it cannot be read; the words say why.
        """
        try:
            return self._follow(url)
        except (ValueError, httpx.InvalidURL) as odd:  # also a name that no resolver takes
            raise ServiceError("its address, or one it leads to, is none") from odd

    def _follow(self, url: str) -> Page:
        for _ in range(MAX_REDIRECTS + 1):
            self._refuse_private(url)
            if not self._may(url):
                raise NotAllowed(f"robots.txt of {urlsplit(url).hostname} does not let us read this page")
            answer = self._get(url)
            if answer.is_redirect:
                url = urljoin(url, answer.headers.get("location", ""))
                continue
            if answer.status_code != 200:
                raise ServiceError(f"it answers with {answer.status_code}")
            return Page(url, answer.status_code, answer.text)
        raise ServiceError(f"more than {MAX_REDIRECTS} redirects")

    def _get(self, url: str) -> httpx.Response:
        Pace(f"web {urlsplit(url).netloc}", max(1, int(self._per_second)), max(1.0, 1 / self._per_second)).wait()
        try:
            with self._client.stream("GET", url) as answer:
                self._refuse_private_peer(answer)
                read, until = bytearray(), time.monotonic() + MOST_SECONDS
                for part in answer.iter_bytes():
                    read += part
                    if len(read) > MAX_BYTES:
                        raise ServiceError(f"it is larger than {MAX_BYTES} bytes")
                    if time.monotonic() > until:
                        raise ServiceError(f"it takes longer than {MOST_SECONDS} seconds")
                whole = httpx.Response(
                    answer.status_code, headers=_plain(answer.headers), content=bytes(read), request=answer.request
                )
                whole.encoding = _encoding(answer.encoding)
                return whole
        except httpx.HTTPError as error:
            raise ServiceError(f"it cannot be read: {type(error).__name__}") from error
        finally:
            self._client.cookies.clear()  # nobody is to know us again

    def _may(self, url: str) -> bool:
        from protego import Protego

        parts = urlsplit(url)
        site = f"{parts.scheme}://{parts.netloc}"
        if site not in self._robots:
            answer = self._robots_of(f"{site}/robots.txt")
            if answer.status_code >= 500:
                raise ServiceError("its robots.txt cannot be read; nothing is read without it")
            # 4xx: there is none, so nothing is forbidden (RFC 9309, 2.3.1.3).
            self._robots[site] = Protego.parse(answer.text) if answer.status_code == 200 else None
        rules = self._robots[site]
        return rules is None or bool(rules.can_fetch(url, self._agent))  # type: ignore[attr-defined]

    def _robots_of(self, url: str) -> httpx.Response:
        """The answer at the end of its redirects; after five it counts as one that is not there (RFC 9309, 2.3.1.2)."""
        for _ in range(ROBOTS_REDIRECTS):
            answer = self._get(url)
            if not answer.is_redirect:
                return answer
            url = urljoin(url, answer.headers.get("location", ""))
            self._refuse_private(url)
        return self._get(url)

    def _refuse_private(self, url: str) -> None:
        """A queue's row must not make us read the house's own network (behind a proxy, that is the proxy's to keep)."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise NotAllowed("only http and https addresses are read")
        if self._proxy:
            return
        try:
            found = {info[4][0] for info in socket.getaddrinfo(parts.hostname, None)}
        except OSError as error:
            raise ServiceError("its name cannot be resolved") from error
        if parts.port not in (None, 80, 443):
            raise NotAllowed("only the web's own ports are read")
        if any(not _public(str(address)) for address in found):
            raise NotAllowed("its name leads into a private network")

    def _refuse_private_peer(self, answer: httpx.Response) -> None:
        """Whom we really speak with: a name may have been resolved to another address meanwhile."""
        stream = answer.extensions.get("network_stream")
        peer = stream.get_extra_info("server_addr") if stream is not None and not self._proxy else None
        if peer and not _public(str(peer[0])):
            raise NotAllowed("its name leads into a private network")


def _public(address: str) -> bool:
    """Whether an address is everybody's; one that carries an IPv4 address inside is judged by that."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo[1] if found.teredo else None)
        if found in ipaddress.ip_network("64:ff9b::/96") or int(found) < 2**32:
            inner = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if inner is not None:
            found = inner
    return found.is_global and not found.is_multicast


def _encoding(stated: str | None) -> str:
    """What a page says it is written in, if that makes text of bytes: Python's codecs know zlib, hex and more, as well."""
    try:
        slow = stated is not None and codecs.lookup(stated).name in ("punycode", "idna")
        return stated if stated and not slow and "a".encode(stated).decode(stated) == "a" else "utf-8"
    except Exception:  # each codec has errors of its own
        return "utf-8"


def _plain(headers: httpx.Headers) -> list[tuple[str, str]]:
    """The body is read and unpacked already."""
    return [(name, value) for name, value in headers.items() if name.lower() not in ("content-encoding", "content-length")]
