"""The put form checks a body against what the task takes, as a worker tells it."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from server.conftest import Server


def _form(page: Any, server: Server, task: str) -> None:
    page.goto("/put")
    page.get_by_label("Task").fill(task)


def test_a_task_is_offered_and_its_signature_shown(page: Any, server: Server, worker: str) -> None:
    assert {"task": "mail", "queues": ["tasks"]} in server.ask("GET", "/v1/tasks").json["tasks"]
    _form(page, server, "mail")
    expect(page.locator("code.signature")).to_contain_text("mail(user_id")
    expect(page.get_by_text("Send one mail.")).to_be_visible()
    expect(page.get_by_label("Queue")).to_have_value("tasks")
    page.get_by_role("button", name="Fill in").click()
    assert page.evaluate("JSON.parse(document.querySelector('[name=body]').value)") == {"user_id": 0, "to": []}
    expect(page.locator("#wrong")).to_have_text("")


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ('{"user_id": 1, "to": ["ada"]}', ""),
        ('[1, ["ada"]]', ""),
        ('{"args": [1], "kwargs": {"to": [], "lang": "de"}}', ""),
        ('{"user_id": "x", "to": ["ada"]}', 'user_id: a whole number was expected, not "x"'),
        ('{"user_id": 1, "to": ["ada", 7]}', "to[1]: a text was expected, not 7"),
        ('{"user_id": 1}', "to: it is missing"),
        ('{"user_id": 1, "to": [], "copies": 2}', 'There is no argument "copies"; there are: user_id, to, lang, at, tries'),
        ("[1, [], 3]", "It takes 2 by place, not 3"),
        ('{"user_id": 1, "to": [], "tries": 0}', "tries: at least 1 was expected, not 0"),
        ('{"user_id": 1, "to": [], "lang": "fr"}', 'lang: one of "de", "en" was expected, not "fr"'),
        ('{"user_id": 1, "to": [], "at": "soon"}', 'at: a date such as 2030-01-31 or null was expected, not "soon"'),
        ('{"user_id": 1, "to": [], "at": null}', ""),
        ("7", "A task takes a list of arguments, or an object by their names."),
        ('{"user_id": 1.5, "to": []}', "user_id: a whole number was expected, not 1.5"),
    ],
)
def test_a_body_is_checked_while_one_types(page: Any, server: Server, worker: str, body: str, wrong: str) -> None:
    _form(page, server, "mail")
    expect(page.locator("code.signature")).to_be_visible()
    page.get_by_label("Body").fill(body)
    expect(page.locator("#wrong")).to_have_text(wrong)


def test_what_does_not_fit_is_put_only_all_the_same(page: Any, server: Server, worker: str) -> None:
    _form(page, server, "mail")
    expect(page.locator("code.signature")).to_be_visible()
    page.get_by_label("Queue").fill("unfit")
    page.get_by_label("Body").fill('{"user_id": "x"}')
    page.get_by_role("button", name="Put", exact=True).click()
    expect(page.locator("#said")).to_contain_text("nothing was put")
    assert server.ask("GET", "/v1/queues/unfit").json["ready"] == 0
    page.get_by_role("button", name="Put it all the same").click()
    expect(page.locator("#said")).to_contain_text("Put.")
    assert server.ask("GET", "/v1/queues/unfit").json["ready"] == 1


def test_a_task_that_nobody_knows_is_not_checked(page: Any, server: Server, worker: str) -> None:
    _form(page, server, "nobody")
    expect(page.get_by_text("No worker that is there has this task")).to_be_visible()
    page.get_by_label("Body").fill('{"any": "thing"}')
    expect(page.locator("#wrong")).to_have_text("")


def test_who_may_not_put_there_is_told_nothing(server: Server, worker: str) -> None:
    assert server.ask("GET", "/v1/tasks/mail", token="nobody-has-this-token").status == 401
    assert server.ask("GET", "/v1/tasks/..%2Fx").status in (400, 404)
    assert server.ask("GET", "/v1/tasks/mail").json["parameters"][0]["name"] == "user_id"
