"""`serve`: the store over HTTP."""

from __future__ import annotations

import click

from .opening import introspect_option
from .params import pass_session
from .root import verb
from .session import Session

EXAMPLE = """\
ropeway -u dir:spool serve                              # on 127.0.0.1:8765, for whoever has the token that it prints
curl -H "Authorization: Bearer $TOKEN" -d 'welcome 42' http://127.0.0.1:8765/v1/queues/mails/jobs
ropeway serve -b 0.0.0.0:8765 --token-file tokens.toml --cert cert.pem --key key.pem"""


@verb("serve", example=EXAMPLE)
@click.option(
    *("-b", "--bind"), default="127.0.0.1:8765", show_default=True, metavar="ADDR", help="HOST:PORT, [IPv6]:PORT, unix:PATH, or systemd."
)
@click.option("--token-file", metavar="FILE", default="", help="Who may do what. Without it: one token, made at the first start.")
@click.option("--no-auth", is_flag=True, help="Ask for no token. Only on loopback or a unix socket.")
@click.option("--read-only", is_flag=True, help="Allow looking, and nothing else.")
@click.option("--cert", metavar="FILE", default="", help="The certificate for TLS, as PEM.")
@click.option("--key", metavar="FILE", default="", help="Its key.")
@click.option("--behind-proxy", is_flag=True, help="A proxy in front does TLS; its X-Forwarded headers are believed.")
@click.option("--host-name", "names", multiple=True, metavar="NAME", help="A name by which clients reach it, beside its address.")
@click.option(
    "--connections",
    type=click.IntRange(2, 100_000),
    default=4000,
    show_default=True,
    metavar="N",
    help="So many at once; half from one address.",
)
@introspect_option
@pass_session
def serve_command(
    session: Session,
    bind: str,
    token_file: str,
    no_auth: bool,
    read_only: bool,
    cert: str,
    key: str,
    behind_proxy: bool,
    names: tuple[str, ...],
    connections: int,
) -> int:
    """Serve the store over HTTP, so that any language and any host can use it.

    Workers and producers elsewhere need the address and a token. Stopped by SIGTERM or Ctrl-C: waiting requests end, nothing is lost.
    """
    from .serving import serve

    return serve(session, bind, token_file, no_auth, read_only, cert, key, behind_proxy, names, connections)
