"""S21: where webhooks may go. Each refusal by itself, the name that changes its answer, and secrets that are none."""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

import ropeway
from ropeway import ConfigError, NotAllowed, Retry
from ropeway.bridges.signing import Secrets
from ropeway.bridges.target import Target
from ropeway.bridges.webhook import WebhookRunner
from ropeway.worker import Worker

from .receiver import always, receiving

LOOPBACK = ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "::7f00:1", "0.0.0.0", "::"]
LINK_LOCAL = ["169.254.169.254", "fe80::1", "fe80::1%eth0", "::ffff:169.254.169.254", "2002:a9fe:a9fe::1"]
PRIVATE = ["10.0.0.1", "172.16.5.4", "192.168.1.1", "100.64.0.1", "fd00::1", "fec0::1", "::ffff:10.0.0.1", "224.0.0.1", "255.255.255.255"]


def leading(*answers: Sequence[str]) -> tuple[list[str], Target]:
    """A target whose name leads to these addresses, another answer each time; and which names were asked for."""
    asked: list[str] = []

    def resolve(host: str, _: int) -> Sequence[str]:
        asked.append(host)
        return answers[min(len(asked), len(answers)) - 1]

    return asked, Target("https://hook.example.org/x", resolve=resolve)


@pytest.mark.parametrize("address", LOOPBACK)
def test_loopback(address: str) -> None:
    _, target = leading([address])
    with pytest.raises(NotAllowed, match="no public address"):
        target.addresses()


@pytest.mark.parametrize("address", LINK_LOCAL)
def test_link_local(address: str) -> None:
    _, target = leading([address])
    with pytest.raises(NotAllowed, match="no public address"):
        target.addresses()


@pytest.mark.parametrize("address", PRIVATE)
def test_private(address: str) -> None:
    _, target = leading([address])
    with pytest.raises(NotAllowed, match="no public address"):
        target.addresses()


def test_public_addresses_and_only_those_of_several() -> None:
    _, target = leading(["127.0.0.1", "93.184.216.34", "10.0.0.1", "2606:4700::1111", "93.184.216.34"])
    assert target.addresses() == ["93.184.216.34", "2606:4700::1111"]


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "169.254.169.254", "10.0.0.1", "[::ffff:127.0.0.1]"])
def test_a_literal_address_is_refused_at_the_start(host: str) -> None:
    with pytest.raises(ConfigError, match="no public address"):
        Target(f"https://{host}/")


@pytest.mark.parametrize("host", ["localhost", "127.1", "2130706433", "0x7f000001", "0177.0.0.1"])
def test_other_spellings_are_what_they_lead_to(host: str) -> None:
    """As the system itself reads them."""
    target = Target(f"https://{host}/")
    with pytest.raises(ConfigError, match="no public address"):
        target.check()
    with pytest.raises(NotAllowed):
        target.addresses()


def test_rebinding_the_address_that_was_judged_is_the_one_that_is_reached() -> None:
    """The name first leads to what is allowed, then to where somebody listens who must not be reached: it is asked once a connection, and
    that answer is judged."""
    with receiving(always(200)) as inside, receiving(always(200)) as outside, ropeway.connect("memory:") as broker:
        asked: list[str] = []

        def resolve(host: str, _: int) -> Sequence[str]:
            asked.append(host)
            return ["127.0.0.2"] if len(asked) == 1 else ["127.0.0.1"]

        target = Target(f"http://hook.example.org:{inside.port}/", ["127.0.0.2"], resolve)
        broker.queue("hooks").put("x")
        Worker(broker.link, None, ["hooks"], pool=WebhookRunner(target), drain=True, retry=Retry(3, base=0.01)).run()
        (entry,) = broker.queue("hooks").browse(state="dead")
        errors = [attempt.error for attempt in entry.history]
        # On 127.0.0.2 nobody listens: who asked the name a second time would have got through to 127.0.0.1.
        assert "ConnectionRefusedError" in errors[0]
        assert all("not on the list of --allow" in error for error in errors[1:])
        assert asked == ["hook.example.org"] * 3
        assert inside.got == outside.got == []


def test_a_kept_connection_asks_no_name_again() -> None:
    with receiving(always(200)) as inside, ropeway.connect("memory:") as broker:
        asked: list[str] = []

        def resolve(host: str, _: int) -> Sequence[str]:
            asked.append(host)
            return ["127.0.0.1"]

        target = Target(f"http://hook.example.org:{inside.port}/", ["hook.example.org"], resolve)
        for number in range(3):
            broker.queue("hooks").put(str(number))
        Worker(broker.link, None, ["hooks"], pool=WebhookRunner(target), drain=True, concurrency=1).run()
        assert len(inside.got) == 3
        assert len(asked) == 1
        assert {got.headers["Host"] for got in inside.got} == {f"hook.example.org:{inside.port}"}


def _may(allow: Sequence[str], address: str, url: str = "https://hook.example.org:8443/") -> bool:
    try:
        return Target(url, allow, lambda *_: [address]).addresses() == [address]
    except NotAllowed:
        return False


@pytest.mark.parametrize(
    ("allow", "address", "may"),
    [
        (["hook.example.org"], "10.0.0.1", True),
        (["HOOK.example.org:8443"], "127.0.0.1", True),
        (["hook.example.org:443"], "10.0.0.1", False),
        (["hook.example.org:443"], "93.184.216.34", False),  # with a list, nothing else is reached
        (["other.example.org"], "93.184.216.34", False),
        (["hook.example.org"], "169.254.169.254", False),  # where clouds keep credentials: by address only
        (["169.254.169.254"], "169.254.169.254", True),
        (["10.0.0.0/8"], "10.1.2.3", True),
        (["10.0.0.0/8"], "::ffff:10.1.2.3", True),
        (["10.0.0.0/8"], "192.168.0.1", False),
        (["10.1.2.3:8443"], "10.1.2.3", True),
        (["10.1.2.3:1"], "10.1.2.3", False),
        (["[::1]:8443"], "::1", True),
        (["::1"], "::1", True),
    ],
)
def test_the_list(allow: list[str], address: str, may: bool) -> None:
    assert _may(allow, address) is may


@pytest.mark.parametrize("allow", ["", "a b", "http://x", "10.0.0.0/99", "x:99999", "[::1", "*.example.org"])
def test_what_is_nothing_to_allow(allow: str) -> None:
    with pytest.raises(ConfigError, match="nothing was started"):
        Target("https://x.example.org/", [allow])


NO_PLACES = [
    *("", "ftp://x/", "https://", "https://x:0/", "https://x:99999/", "https://x/a b", "https://x/\r\nX: y", "https://x/#y", "https://x/ü"),
    *("https://user:pass@x.example.org/", "http://x.example.org/", "https://x\\@y/", "https://x/" + "y" * 9000),
]


@pytest.mark.parametrize("url", NO_PLACES)
def test_what_is_no_place(url: str) -> None:
    with pytest.raises(ConfigError, match="nothing was started") as caught:
        Target(url)
    assert "pass" not in str(caught.value).replace("password", "")


def test_paths_are_not_shown() -> None:
    assert str(Target("https://hooks.example.org/services/T0/B0/secret?x=y")) == "https://hooks.example.org/..."
    assert str(Target("https://hooks.example.org")) == "https://hooks.example.org"


# Secrets


def test_the_signature_of_the_standard() -> None:
    """The example that its libraries are tested with."""
    secrets = Secrets(variable="S", environ={"S": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"})
    signature = secrets.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, [b'{"test": ', b"2432232314}"])
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def _secret(size: int) -> str:
    return "whsec_" + base64.b64encode(b"s" * size).decode()


@pytest.mark.parametrize(
    "text", ["", "whsec_", "hunter2hunter2hunter2hunter2", _secret(23), _secret(65), "whsec_!!!", "\n".join([_secret(24)] * 11)]
)
def test_what_is_no_secret_is_not_shown(text: str) -> None:
    with pytest.raises(ConfigError, match="nothing is signed") as caught:
        Secrets(variable="S", environ={"S": text})
    assert "hunter2" not in str(caught.value)
    assert base64.b64encode(b"s" * 20).decode()[:16] not in str(caught.value)


def test_a_file_that_others_can_read_signs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(_secret(32))
    os.chmod(path, 0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        Secrets(file=str(path))
    with pytest.raises(ConfigError, match="cannot be read"):
        Secrets(file=str(tmp_path / "none"))
    os.chmod(path, 0o600)
    assert Secrets(file=str(path)).sign("m", 1, []).startswith("v1,")
