"""Who may look: the Host that was asked for, and the token, which stands in the path of the page's own address or in a header."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection
from secrets import compare_digest

from ..names import shown
from .requests import Refused, Request

WAYS = 'WWW-Authenticate: Basic realm="ropeway", charset="UTF-8"'


class Gate:
    """`hosts`: what a Host header may be; empty: a unix socket, where nobody is misled. `token`: "" asks for none."""

    def __init__(self, hosts: Collection[str], token: str) -> None:
        self._hosts = frozenset(hosts)
        self._token = token

    def let_in(self, request: Request) -> tuple[tuple[str, ...], bool]:
        """The path behind the token, and whether the token stood in it. Raises Refused."""
        host = request.headers.get("host", "").lower()
        if self._hosts and host not in self._hosts:
            raise Refused(421, f"this page is not {shown(host)}; nothing was shown")
        if request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            raise Refused(401, "a request from another site; nothing was shown")
        if not self._token:
            return request.path, False
        if request.path and self._fits(request.path[0]):
            return request.path[1:], True
        if self._fits(token_of(request.headers.get("authorization", ""))):
            return request.path, False
        raise Refused(401, "a token is needed: in the page's own address, or as Authorization: Bearer TOKEN; nothing was shown", WAYS)

    def _fits(self, token: str) -> bool:
        return compare_digest(token.encode(errors="surrogatepass"), self._token.encode())


def token_of(header: str) -> str:
    """The token of an Authorization header: Bearer, or the password of Basic."""
    scheme, _, rest = header.partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(rest.strip(), validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return ""
