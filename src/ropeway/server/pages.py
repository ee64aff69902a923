"""The page's own files, as they lie in `page/`: hand-written, served as they are, with nothing from anywhere else."""

from __future__ import annotations

from importlib.resources import files

from starlette.responses import Response

from .doors import Call, Door, Handler
from .problems import Refusal

KINDS = {".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}
PATHS = ("/queues", "/queues/{name}", "/jobs", "/jobs/{id}", "/workers", "/put")  # typed addresses of the page, beside /

# Nothing but our own files, no inline script or style, nowhere framed.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def doors(root: Handler) -> list[Door]:
    """The doors of the page. `root`: who answers `/` when it comes with a query, as workers of old ask."""
    folder = files("ropeway.server") / "page"
    known = {file.name: file.read_bytes() for file in folder.iterdir() if "." + file.name.rpartition(".")[2] in KINDS}

    def sent(name: str) -> Response:
        kind = KINDS["." + name.rpartition(".")[2]]
        return Response(known[name], headers={"Content-Security-Policy": POLICY, "Cache-Control": "no-cache"}, media_type=kind)

    async def page(_: Call) -> Response:
        return sent("index.html")

    async def front(call: Call) -> Response:
        return await root(call) if call.url.query else sent("index.html")

    async def file(call: Call) -> Response:
        if call.path_params["file"] not in known:
            raise Refusal(404, "the page has no such file")
        return sent(call.path_params["file"])

    return [
        Door("GET", "/", None, front, says="The page; with ?queue= take one as text, as workers of old do"),
        *(Door("GET", path, None, page, says="The page", changes=False) for path in PATHS),
        Door("GET", "/page/{file}", None, file, says="A file of the page", changes=False),
    ]
