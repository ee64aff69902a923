"""What the code advises people to type is there: each command that stands in a text, and each of its options."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from ropeway.cli.commands import ELSEWHERE, ROOMS
from ropeway.cli.root import root, run
from ropeway.server.attention import wanting
from ropeway.store import Counts

SOURCE = Path(__file__).resolve().parent.parent.parent / "src" / "ropeway"
_ADVICE = re.compile(r"ropeway ((?:-u \S+ )?)([a-z]+)((?: (?:-{1,2}[A-Za-z][a-z-]*|[^\s`'\";,()]+))*)")
_TALK = {"can", "cannot", "carries", "did", "does", "for", "from", "group", "has", "hands", "is", "itself", "job", "keeps", "knows", "made"}


def _advices() -> Iterator[tuple[str, str, list[str]]]:
    """(file, command, its options) of all texts that name a command that there is."""
    for path in sorted([*SOURCE.rglob("*.py"), *SOURCE.rglob("*.js")]):
        for found in _ADVICE.finditer(path.read_text()):
            command = found[2]
            if command in ROOMS and command not in _TALK:
                words = found[3].split(" -- ")[0].split()
                yield path.name, command, [word.partition("=")[0] for word in words if re.fullmatch(r"--[a-z][a-z-]+(=.*)?", word)]


def test_advised_options_are_there() -> None:
    context = click.Context(root)
    wrong, seen = [], 0
    for file, name, options in _advices():
        command = root.get_command(context, name)
        assert command is not None
        known = {"--help"} | {option for of in (command, root) for param in of.params for option in (*param.opts, *param.secondary_opts)}
        wrong += [f"{file}: ropeway {name} {option}" for option in options if option not in known]
        seen += 1
    assert seen > 50
    assert not wrong


def test_words_from_elsewhere_lead_to_commands_and_hide_none() -> None:
    assert not [word for word, meant in ELSEWHERE.items() if meant not in ROOMS or word in ROOMS]


def test_what_the_overview_advises_can_be_typed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROPEWAY_URL", "memory:advice")
    counts = {"mails": Counts(ready=1, dead=2, oldest=0.0, put_stopped="deploy", claim_stopped=None)}
    rows = list(wanting(counts, [], [], 1e6, "all"))
    assert {row["kind"] for row in rows} == {"paused", "unserved", "dead", "switched"}
    for row in rows:
        if row["kind"] != "unserved":
            assert run(row["do"].split()[1:]) == 0, (row, capsys.readouterr())
