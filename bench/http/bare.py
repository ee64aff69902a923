"""The floor: an endpoint that reads the body and answers, under the same settings of uvicorn as ours. `python -m bench.http.bare`."""

from __future__ import annotations

import socket
import sys

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


async def one(request: Request) -> Response:
    """As much as any endpoint has to do that takes something in."""
    await request.body()
    return JSONResponse({"id": "01a1ff17fb8c74cf946dee060bedaca7", "created": True}, 201)


def main() -> None:
    app = Starlette(routes=[Route("/v1/queues/{q}/jobs", one, methods=["POST"])])
    door = socket.create_server(("127.0.0.1", 0), backlog=1024)
    print(door.getsockname()[1], flush=True)
    config = uvicorn.Config(app, fd=door.fileno(), loop="uvloop", http="httptools", log_config=None, access_log=False, server_header=False)
    sys.exit(uvicorn.Server(config).run(sockets=[door]))


if __name__ == "__main__":
    main()
