"""The bell over UDP: a socket that a waiting process sleeps on, and the ringing of such sockets by whoever has put jobs.

A datagram is a hint to look now and nothing more. It is never answered, its sender is not asked for, and a lost one costs a poll. Anyone
who reaches the port can send one, so a flood must cost next to nothing: while a sleeper is deaf it does not even watch its socket, what
comes lies in the socket's small buffer, and what finds no room there the kernel drops.

Without a secret each look that finds nothing makes the sleeper deaf, for 50 ms at first and for twice as long each time, up to a second;
a look that finds a job (`found`), or some quiet, ends that. With a secret only what does not prove itself makes deaf, and wakes nobody.
"""

from __future__ import annotations

import _socket
import errno
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..clock import SYSTEM, Clock
from ..errors import ConfigError
from .address import Address, is_loopback, is_wildcard, read_address, read_host
from .place import SleepingPlace, milliseconds

if TYPE_CHECKING:
    from .seal import Seal

MOST = 64  # rung by one call
LOOKED_AT = 256  # addresses read by one call, whatever they turn out to be
DEAF = 0.05  # seconds without listening after a bogus datagram, and after the first look that found nothing
DEAFEST = 1.0
BUFFER = 64 * 1024  # bytes of the socket's buffer: some 170 small datagrams
READ = 64  # bytes of a datagram that are looked at, more than a ring has
DRAIN = 256  # datagrams read at once, more than the buffer holds

_FLAGS = _socket.SOCK_DGRAM | getattr(_socket, "SOCK_NONBLOCK", 0) | getattr(_socket, "SOCK_CLOEXEC", 0)
_PROBE = {_socket.AF_INET: "192.0.2.1", _socket.AF_INET6: "2001:db8::1"}  # nobody's (RFC 5737, 3849); connecting a UDP socket sends nothing


class UdpSleeper(SleepingPlace):
    """A sleeping place with a UDP socket. `address` is what others ring: the address bound, never a wildcard.

    `host` is an IP address, a name, or a wildcard: then the address is the one by which this host goes out `toward` somebody (the
    server of the database, say), else by its default route. The first free port from `port` to `last` is taken; 0 is any. Raises
    ConfigError when there is none, and when the host is not this one.
    """

    def __init__(
        self, host: str = "127.0.0.1", port: int = 0, last: int = 0, *, secret: bytes = b"", clock: Clock = SYSTEM, toward: str = ""
    ) -> None:
        super().__init__()
        self._clock = clock
        self._seal = _seal(secret, clock)
        bound = resolved(host)
        family = _socket.AF_INET6 if ":" in bound else _socket.AF_INET
        try:
            self._socket = _socket.socket(family, _FLAGS)
            self._socket.settimeout(0.0)
            self._socket.setsockopt(_socket.SOL_SOCKET, _socket.SO_RCVBUF, BUFFER)
            if family == _socket.AF_INET6:
                self._socket.setsockopt(_socket.IPPROTO_IPV6, _socket.IPV6_V6ONLY, 1)
        except OSError as error:
            raise ConfigError(
                f"bell: no socket for {bound} ({error.strerror}); nothing was opened. Give bell=off, or another address"
            ) from None
        taken = bind_first(self._socket, bound, port, max(port, last))
        own = Address(family, outgoing(family, toward) if is_wildcard(bound) else bound, taken)
        self.address = str(own)
        self.far = not own.loopback  # whether other hosts can ring it
        self._deaf_until = 0.0
        self._deaf_for = 0.0
        self._watch(self._socket.fileno())

    def wait(self, timeout: float) -> bool:
        """True when rung or woken within the time. What does not count as a ring does not end it."""
        end = time.monotonic() + timeout
        while True:
            left = end - time.monotonic()
            deaf = self._deaf_until - self._clock.boot()
            poll = self._quiet if deaf > 0 else self._poll
            ended = False
            for fd, _ in poll.poll(milliseconds(min(left, deaf) if deaf > 0 else left)):
                if fd == self._listening:
                    ended = self._heard() or ended
                else:
                    self._wakened()
                    ended = True
            if ended or end <= time.monotonic():
                return ended

    def _heard(self) -> bool:
        rung = bogus = False
        try:
            for _ in range(DRAIN):
                data = self._socket.recv(READ)
                if self._seal is None or self._seal.proves(data, self.address):
                    rung = True
                else:
                    bogus = True
        except OSError:
            pass  # empty; or an error that somebody sent us, which is no ring
        now = self._clock.boot()
        if self._seal is not None:
            self._deaf_until = now + DEAF if bogus else 0.0
        elif rung:
            calm = now - self._deaf_until > DEAFEST
            self._deaf_for = DEAF if calm else min(max(DEAF, 2 * self._deaf_for), DEAFEST)
            self._deaf_until = now + self._deaf_for
        return rung

    def found(self) -> None:
        """The look after the ring was worth it: the next ring is heard at once."""
        if self._seal is None:
            self._deaf_until = self._deaf_for = 0.0

    def close(self) -> None:
        if hasattr(self, "_socket"):
            self._socket.close()
        super().close()


class UdpRinger:
    """Rings addresses. Keeps nothing: no socket, no address, no answer. `far`: beyond the loopback of this host, too."""

    def __init__(self, secret: bytes = b"", *, far: bool = False, clock: Clock = SYSTEM) -> None:
        self._seal = _seal(secret, clock)
        self._far = far

    def reads(self, address: object) -> Address | None:
        """The address, if it is one that this ringer rings."""
        found = read_address(address)
        return found if found is not None and (self._far or found.loopback) else None

    def ring(self, addresses: Iterable[str], wanted: int) -> int:
        """Send one datagram to each of up to `wanted` of these, 64 at most; how many were sent. Never waits, never fails.

        What is no address, must not be rung, or certainly has nobody behind it (on this host that is known at once) is passed over, and
        the next one takes its turn.
        """
        rung: set[Address] = set()
        wanted = min(wanted, MOST)
        for number, text in enumerate(addresses):
            if len(rung) >= wanted or number >= LOOKED_AT:
                break
            address = self.reads(text)
            if address is not None and address not in rung and self._send(address):
                rung.add(address)
        return len(rung)

    def _send(self, address: Address) -> bool:
        content = b"" if self._seal is None else self._seal.make(str(address))
        out = None
        try:
            out = _socket.socket(address.family, _FLAGS)
            out.settimeout(0.0)
            out.connect((address.host, address.port))
            out.send(content)
            return out.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR) != errno.ECONNREFUSED
        except OSError:
            return False  # no way there, no room in the network's queue, no socket left, or a broadcast address of a network of ours
        finally:
            if out is not None:
                out.close()


def _seal(secret: bytes, clock: Clock) -> Seal | None:
    if not secret:
        return None
    from .seal import Seal  # and with it the hashes, which nobody else needs

    return Seal(secret, clock)


def resolved(host: str) -> str:
    """The literal address that the host's name means."""
    literal = read_host(host)
    if literal is not None:
        return literal
    try:
        found = _socket.getaddrinfo(host, None, 0, _socket.SOCK_DGRAM)
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"bell=udp://{host}: nobody knows that name ({error}); nothing was opened. Give an IP address") from None
    address = str(found[0][4][0])
    if is_loopback(address):
        raise ConfigError(
            f"bell=udp://{host}: that name means {address} here, which no other host can ring; nothing was opened. Give an IP address of "
            "this host, or 0.0.0.0"
        )
    return address


def bind_first(sock: _socket.socket, host: str, port: int, last: int) -> int:
    """The first free port, taken."""
    for number in range(port, last + 1):
        try:
            sock.bind((host, number))
            return int(sock.getsockname()[1])
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise ConfigError(
                    f"bell=udp://: {host} cannot be listened on ({error.strerror}); nothing was opened. Give an IP address of this host, "
                    "or 0.0.0.0 for all"
                ) from None
            trouble = error.strerror
    raise ConfigError(f"bell=udp://: no port of {host} from {port} to {last} is free ({trouble}); nothing was opened. Give a wider range")


def outgoing(family: int, toward: str) -> str:
    """The address by which this host goes out. Sends nothing."""
    for target in (toward, _PROBE[family]):
        probe = _socket.socket(family, _FLAGS)
        try:
            probe.connect((target, 9))
            own = str(probe.getsockname()[0])
        except (OSError, UnicodeError):
            continue
        finally:
            probe.close()
        address = read_address(str(Address(family, own, 9)))
        if address is not None and not address.loopback:
            return own
    raise ConfigError(
        "bell=udp://: this host has no route out, so its address is not known; nothing was opened. Give one of its IP addresses instead"
    )
