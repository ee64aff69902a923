"""The page's own files, as they lie in `page/`: hand-written, served as they are, with nothing from anywhere else.

They are open to whoever reaches the server, since they tell nothing of it: what the page shows, it asks for with the token it was given.
"""

from __future__ import annotations

from hashlib import blake2b
from html import escape
from importlib.resources import files

from starlette.responses import Response

from .doors import Call, Door, Handler
from .problems import Refusal

KINDS = {".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}

# Typed addresses of the page, beside /.
PATHS = (
    *("/queues", "/queues/{name}", "/jobs", "/jobs/{id}", "/failures", "/failures/{fingerprint}", "/workers", "/workers/{id}"),
    *("/schedules", "/schedules/{name}", "/topics", "/topics/{name}", "/put", "/about"),
)

# Nothing but our own files, no inline script or style, nowhere framed.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)


def doors(root: Handler | None) -> list[Door]:
    """The doors of the page. `root`: who answers `/` when it comes with a query, as workers of old ask; None: nobody."""
    folder = files("ropeway.server") / "page"
    known = {file.name: file.read_bytes() for file in folder.iterdir() if "." + file.name.rpartition(".")[2] in KINDS}
    tags = {name: f'"{blake2b(data, digest_size=8).hexdigest()}"' for name, data in known.items()}

    def sent(call: Call, name: str) -> Response:
        kind = KINDS["." + name.rpartition(".")[2]]
        headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-cache", "ETag": tags[name]}
        above = call.scope.get("root_path", "")
        if above and name == "index.html":  # mounted: what it names lies below that path
            del headers["ETag"]
            return Response(known[name].replace(b'="/', f'="{escape(above)}/'.encode()), headers=headers, media_type=kind)
        if call.headers.get("if-none-match") == tags[name]:
            return Response(status_code=304, headers=headers)
        return Response(known[name], headers=headers, media_type=kind)

    async def page(call: Call) -> Response:
        return sent(call, "index.html")

    async def front(call: Call) -> Response:
        if root is None or not call.url.query or call.method == "HEAD":
            return sent(call, "index.html")
        if not call.grant.queues:
            basic = 'Basic realm="ropeway", charset="UTF-8"'
            raise Refusal(401, "a token is needed; nothing was done. Send it as: Authorization: Bearer TOKEN", WWW_Authenticate=basic)
        return await root(call)

    async def file(call: Call) -> Response:
        if call.path_params["file"] not in known:
            raise Refusal(404, "the page has no such file")
        return sent(call, call.path_params["file"])

    at_root = "The page" if root is None else "The page; with ?queue= take one as text, as workers of old do"
    return [
        Door("GET", "/", None, front, open=True, says=at_root, changes=root is not None),
        *(Door("GET", path, None, page, open=True, says="The page", changes=False) for path in PATHS),
        Door("GET", "/page/{file}", None, file, open=True, says="A file of the page", changes=False),
    ]
