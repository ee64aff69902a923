"""The command `ropeway` itself: finds the command, takes the global options around its name, turns every end into an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, NoReturn

import click

from .commands import FAMILIES, ROOMS, nearest
from .output import MODES, say
from .session import Session
from .verdict import DONE, EXIT_CODES, PIPE, USAGE, Failure, verdict

HELP = """ropeway carries jobs from one process to another. It starts as a folder, with no server, and moves by its URL."""

START = """\
  ropeway put mails 'welcome 42'            # hand a job over
  ropeway work mails -- ./send-mail         # run a command for each job
  ropeway ls                                # see how the queues stand"""


def _told(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    """Keep a global option in the session, if it was given: what stands after the command's name wins."""

    def keep(ctx: click.Context, _: click.Parameter, value: Any) -> None:
        if value not in (None, False, 0):
            session = ctx.ensure_object(Session)
            if name == "timeout":
                _limit(ctx, value)
                return
            setattr(session, name, value)

    return keep


def _limit(ctx: click.Context, value: str) -> None:
    """Start the time limit; it ends with the command line."""
    from ..durations import seconds
    from .signals import time_limit

    if not ctx.resilient_parsing:
        ctx.find_root().with_resource(time_limit(seconds(value, "--timeout")))


def _version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from .. import __version__

        click.echo(f"ropeway {__version__}")
        ctx.exit()


def global_options(*, hidden: bool = False) -> list[click.Option]:
    """The options that stand before or after the name of any command."""

    def option(*names: str, **more: Any) -> click.Option:
        more.setdefault("callback", _told(names[-1].lstrip("-")))
        return click.Option(names, expose_value=False, hidden=hidden, **more)

    return [
        option("-u", "--url", metavar="URL", help="Where the jobs are. Else $ROPEWAY_URL, the configuration, a folder of your own."),
        option(
            "-o",
            "--output",
            type=click.Choice(MODES),
            help="How to print. auto: a table on a terminal, JSON lines in a pipe; id: only the ids.",
        ),
        option("-q", "--quiet", is_flag=True, help="Say nothing that was not asked for."),
        option("-v", "--verbose", count=True, help="Say which store is used; twice: show where an error came from."),
        option("-y", "--yes", is_flag=True, help="Do not ask."),
        option("--timeout", metavar="DURATION", help="Give up after this long, exit 124."),
        option("--version", is_flag=True, is_eager=True, callback=_version, help="Print the version."),
    ]


class Verb(click.Command):
    """A command: its global options, and an example in its help. `producer`: what follows `--` is a command line, kept in
    `ctx.meta["producer"]` (None without a `--`)."""

    def __init__(self, *args: Any, example: str = "", **more: Any) -> None:
        super().__init__(*args, **more)
        self.example = example
        own = {name for param in self.params for name in param.opts}
        everywhere = [option for option in global_options(hidden=True) if not own & set(option.opts)]
        self.params += everywhere
        self._everywhere = " ".join(option.opts[0] for option in everywhere if not option.is_eager)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click asks so
        with formatter.section("Example"):
            for line in self.example.splitlines():
                formatter.write(f"{'':>{formatter.current_indent}}{line}\n")
        formatter.write_paragraph()
        formatter.write_text(f"{self._everywhere} can be given here too: see ropeway --help.")


def verb(name: str, *, example: str, **more: Any) -> Callable[[Callable[..., Any]], Verb]:
    """Make a command out of a function, as click.command does."""
    more.setdefault("context_settings", {})
    return click.command(name, cls=more.pop("cls", Verb), example=example, **more)


class Ropeway(click.Group):
    """The group of all commands; the file of a command is imported when it is called or described."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click asks so
        return list(ROOMS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click asks so
        if cmd_name not in ROOMS:
            return None
        command: click.Command = getattr(import_module(f".{ROOMS[cmd_name]}", __package__), f"{cmd_name}_command")
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in ROOMS and not ctx.resilient_parsing:
            near = nearest(args[0], list(ROOMS))
            hint = f"did you mean {near}? See: ropeway {near} --help" if near else "see: ropeway --help"
            raise Failure(USAGE, f"there is no command {args[0]!r}; {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, names in FAMILIES.items():
            with formatter.section(title):
                commands = ((name, self.get_command(ctx, name)) for name in names)
                formatter.write_dl([(name, command.get_short_help_str(100)) for name, command in commands if command])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click asks so
        with formatter.section("Start here"):
            formatter.write(START + "\n")
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code), text) for code, text in EXIT_CODES])

    def main(self, args: Sequence[str] | None = None, *_: Any, **__: Any) -> NoReturn:
        """Run the command line and leave the process with its exit code."""
        sys.exit(run(sys.argv[1:] if args is None else args))


def run(args: Sequence[str]) -> int:
    """Run one command line; its exit code. Everything there is to say has been said."""
    session = Session()
    try:
        try:
            code = _invoke(list(args), session)
        finally:
            session.close()
        session.flush()
    except BaseException as error:  # noqa: BLE001 - the last line of the process: every end has a code and a sentence
        _flush_what_can_be(session)
        code = _told_end(error, session)
    if code == PIPE:
        _drop_stdout()
    return code


def _flush_what_can_be(session: Session) -> None:
    """What was printed before the error comes before its text."""
    try:
        session.flush()
    except (OSError, ValueError):
        _drop_stdout()


def _invoke(args: list[str], session: Session) -> int:
    with root.make_context("ropeway", args, obj=session) as ctx:
        code = root.invoke(ctx)
        return code if isinstance(code, int) else DONE


def _told_end(error: BaseException, session: Session) -> int:
    """Say what ended the command; its exit code."""
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, click.UsageError):
        code, text = USAGE, _usage(error)
    elif isinstance(error, click.ClickException):
        code, text = error.exit_code, error.format_message()
    else:
        code, text = verdict(error)
        if session.verbose > 1 and not isinstance(error, BrokenPipeError):
            import traceback

            for line in "".join(traceback.format_exception(error)).splitlines():
                say(line)
    if text:
        _tell(text)
    return code


def _tell(text: str) -> None:
    say("ropeway: " + " ".join(text.split("\n")).strip())


def _usage(error: click.UsageError) -> str:
    """What is wrong with the command line, in one sentence, and where to read on."""
    path = error.ctx.command_path if error.ctx else "ropeway"
    name = path.removeprefix("ropeway ")
    if isinstance(error, click.NoSuchOption):
        known = [o for p in error.ctx.command.params for o in (*p.opts, *p.secondary_opts) if o.startswith("--")] if error.ctx else []
        near = nearest(error.option_name, known)
        text = f"{name} has no option {error.option_name}" + (f"; did you mean {near}?" if near else ".")
    else:
        text = error.format_message()
        text = text[:1].lower() + text[1:] if text[1:2].islower() else text
        text += "" if text.endswith((".", "?")) else "."
    return f"{text} See: {path} --help"


def _drop_stdout() -> None:
    """Nobody reads: what is still buffered must not raise again when the interpreter closes stdout."""
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
    except (OSError, ValueError):
        pass


root = Ropeway(
    "ropeway",
    help=HELP,
    params=list(global_options()),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    subcommand_metavar="COMMAND ...",
    invoke_without_command=True,
)


@click.pass_context
def _bare(ctx: click.Context) -> None:
    """Without a command: the help."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


root.callback = _bare
