"""The page's own files, as they lie in `page/`: hand-written, served as they are, with nothing from anywhere else.

They are open to whoever reaches the server, since they tell nothing of it: what the page shows, it asks for with the token it was given.

What makes it quick: the page at an address names the modules that its view will want, so that all come at once instead of one behind
another; all files lie below a name that is made of what is in them, so that a browser which has them asks for none again.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterable
from functools import cache
from hashlib import blake2b
from html import escape
from importlib.resources import files

from starlette.responses import Response

from .doors import Call, Door, Handler
from .problems import Refusal

KINDS = {".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}

# Typed addresses of the page, and the module of the view that each means.
VIEWS = {
    "/": "overview",
    "/queues": "queues",
    "/queues/{name}": "queue",
    "/jobs": "jobs",
    "/jobs/{id}": "job",
    "/failures": "failures",
    "/failures/{fingerprint}": "failures",
    "/workers": "workers",
    "/workers/{id}": "workers",
    "/schedules": "schedules",
    "/schedules/{name}": "schedules",
    "/topics": "topics",
    "/topics/{name}": "topics",
    "/put": "put",
    "/about": "about",
}

_IMPORT = re.compile(rb'^import .* from "\./(\w+\.js)";$', re.MULTILINE)

# Nothing but our own files, no inline script or style, nowhere framed.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)


def doors(root: Handler | None) -> list[Door]:
    """The doors of the page. `root`: who answers `/` when it comes with a query, as workers of old ask; None: nobody."""
    folder = files("ropeway.server") / "page"
    known = {file.name: file.read_bytes() for file in folder.iterdir() if "." + file.name.rpartition(".")[2] in KINDS}
    edition = _tag(b"".join(name.encode() + b"\0" + known[name] for name in sorted(known)))

    @cache
    def packed(name: str) -> bytes:
        return gzip.compress(known[name], mtime=0)

    def sent(call: Call, name: str, lasting: str) -> Response:
        small = "gzip" in call.headers.get("accept-encoding", "")
        data = packed(name) if small else known[name]
        headers = {"Content-Security-Policy": POLICY, "Cache-Control": lasting, "Vary": "Accept-Encoding", "ETag": f'"{_tag(data)}"'}
        if call.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        if small:
            headers["Content-Encoding"] = "gzip"
        return Response(data, headers=headers, media_type=KINDS["." + name.rpartition(".")[2]])

    @cache
    def shell(view: str) -> bytes:
        """The page at an address, with the modules of its view."""
        wanted = "".join(f'    <link rel="modulepreload" href="/page/{name}">\n' for name in _wanted(known, ("app.js", f"{view}.js")))
        whole = known["index.html"].replace(b'    <script type="module"', wanted.encode() + b'    <script type="module"')
        return whole.replace(b'="/page/', f'="/page/{edition}/'.encode())

    def page(view: str) -> Handler:
        async def answer(call: Call) -> Response:
            data, above = shell(view), call.scope.get("root_path", "")
            if above:  # mounted: what it names lies below that path
                data = data.replace(b'="/', f'="{escape(above)}/'.encode())
            return Response(data, headers={"Content-Security-Policy": POLICY, "Cache-Control": "no-cache"}, media_type=KINDS[".html"])

        return answer

    overview = page(VIEWS["/"])

    async def front(call: Call) -> Response:
        if root is None or not call.url.query or call.method == "HEAD":
            return await overview(call)
        if not call.grant.queues:
            basic = 'Basic realm="ropeway", charset="UTF-8"'
            raise Refusal(401, "a token is needed; nothing was done. Send it as: Authorization: Bearer TOKEN", WWW_Authenticate=basic)
        return await root(call)

    async def file(call: Call) -> Response:
        if (name := call.path_params["file"]) not in known:
            raise Refusal(404, "the page has no such file")
        ours = call.path_params.get("edition") == edition  # else a page asks that was opened before the server became another
        return sent(call, name, "public, max-age=31536000, immutable" if ours else "no-cache")

    at_root = "The page" if root is None else "The page; with ?queue= take one as text, as workers of old do"
    return [
        Door("GET", "/", None, front, open=True, says=at_root, changes=root is not None),
        *(Door("GET", path, None, page(view), open=True, says="The page", changes=False) for path, view in VIEWS.items() if path != "/"),
        Door("GET", "/page/{file}", None, file, open=True, says="A file of the page", changes=False),
        Door("GET", "/page/{edition}/{file}", None, file, open=True, says="A file of the page, to be kept", changes=False),
    ]


@cache
def _tag(data: bytes) -> str:
    return blake2b(data, digest_size=8).hexdigest()


def _wanted(known: dict[str, bytes], names: Iterable[str]) -> list[str]:
    """These modules, and all that they will ask for."""
    found: list[str] = []
    waiting = list(names)
    while waiting:
        if (name := waiting.pop(0)) not in found:
            found.append(name)
            waiting += [one.decode() for one in _IMPORT.findall(known[name])]
    return sorted(found)
