"""`python -m ropeway.cli.reference`: all commands with all their options, as the page of the documentation, made from what click knows."""

from __future__ import annotations

from collections.abc import Iterator

import click

from .commands import FAMILIES
from .root import START, Verb, global_options, root
from .verdict import EXIT_CODES


def pages() -> Iterator[str]:
    """The lines of docs/reference/commands.md."""
    yield "# Commands"
    yield ""
    yield "Made from the code by `python -m ropeway.cli.reference`; `ropeway COMMAND --help` says the same."
    yield ""
    yield "```sh"
    yield from (line[2:] for line in START.splitlines())
    yield "```"
    yield ""
    yield "## For all commands"
    yield ""
    yield "These stand before or after the command's name."
    yield ""
    yield from _options(global_options())
    for family, names in FAMILIES.items():
        yield ""
        yield f"## {family}"
        for name in names:
            yield ""
            yield from _command(name)
    yield ""
    yield "## Exit codes"
    yield ""
    yield "| code | means |"
    yield "|---|---|"
    yield from (f"| {code} | {_cell(text)} |" for code, text in EXIT_CODES)


def _command(name: str) -> Iterator[str]:
    context = click.Context(root, info_name="ropeway")
    command = root.get_command(context, name)
    assert isinstance(command, Verb)
    own = click.Context(command, info_name=name, parent=context)
    yield f"### {name}"
    yield ""
    yield f"`{' '.join(['ropeway', name, *command.collect_usage_pieces(own)])}`"
    yield ""
    for paragraph in (command.help or "").split("\n\n"):
        yield " ".join(paragraph.split())
        yield ""
    options = [param for param in command.params if isinstance(param, click.Option) and not param.hidden]
    if options:
        yield from _options(options)
        yield ""
    yield "```sh"
    yield from command.example.splitlines()
    yield "```"


def _options(options: list[click.Option]) -> Iterator[str]:
    yield "| option | means |"
    yield "|---|---|"
    context = click.Context(root)
    for option in options:
        record = option.get_help_record(context)
        if record:
            yield f"| `{_cell(record[0])}` | {_cell(record[1])} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    print("\n".join(pages()))  # noqa: T201
