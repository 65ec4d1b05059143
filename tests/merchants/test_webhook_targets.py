"""Where messages may go, and how long one may take; no database is needed."""

import datetime
import itertools
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from merchants.webhooks import targets
from merchants.webhooks.targets import Answer
from mps.base.core.errors import InvalidRequestError
from tests.merchants.receiver import Receiver, receiving

PUBLIC = "93.184.216.34"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def send(url: str) -> Answer:
    return targets.post(url, headers={"webhook-id": "1"}, body=b"{}")


def resolve_to(monkeypatch: pytest.MonkeyPatch, *answers: str) -> list[str]:
    """Let every name resolve to these addresses, one each time; return what was asked for."""
    asked: list[str] = []
    addresses = itertools.chain(answers, itertools.repeat(answers[-1]))

    def getaddrinfo(host: str, port: int, **_kind: Any) -> list[Any]:
        asked.append(host)
        address = next(addresses)
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return [(family, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (200, Answer(200)),
        (204, Answer(204)),
        (301, Answer(301, "HTTP 301")),
        (307, Answer(307, "HTTP 307")),
        (404, Answer(404, "HTTP 404")),
        (500, Answer(500, "HTTP 500")),
        ([b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 1_000_000], Answer(200)),
        ([b"220 mail.example.com ESMTP\r\n"], Answer(error="no HTTP answer")),
        ([b"HTTP/1.1 200 OK\r\nA: ", b"x" * 100_000], Answer(error="no HTTP answer")),
        ([b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200], Answer(error="no HTTP answer")),
        ([], Answer(error="no connection")),
    ],
)
def test_only_a_2xx_is_a_delivery(receiver: Receiver, answer: Any, expected: Answer) -> None:
    receiver.answer = lambda _message: answer

    got = send(receiver.url)

    # A redirect is not followed.
    assert got == expected
    assert got.ok == (expected.error == "")
    assert len(receiver.messages) == 1


def test_nobody_listens() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        assert send(f"http://127.0.0.1:{bound.getsockname()[1]}/") == Answer(error="no connection")


def test_who_sends_a_byte_now_and_then_is_left(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(targets, "TOTAL_SECONDS", 0.3)

    def drip() -> Iterator[bytes]:
        for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"." * 200:
            yield bytes([byte])
            time.sleep(0.02)

    receiver.answer = lambda _message: drip()

    assert send(receiver.url) == Answer(error="timed out")


def test_proxies_of_the_environment_are_not_asked(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1/")

    assert send(receiver.url).ok


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.9.9.9", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1"),
        *("169.254.169.254", "100.64.0.1", "192.0.0.1", "192.0.2.1", "198.18.0.1", "224.0.0.1"),
        *("240.0.0.1", "255.255.255.255", "::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1"),
        *("::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::1"),
        *("2002:7f00:1::", "2002:a00:1::1", "2001::1", "fe80::1", "fe80::1%eth0", "fc00::1"),
        *("fd12:3456::1", "fec0::1", "ff02::1", "2001:db8::1", "::127.0.0.1", "100::1"),
    ],
)
def test_an_address_that_is_not_public(
    address: str, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.MPS_WEBHOOK_ALLOW_PRIVATE = False
    assert not targets.is_public(address)

    resolve_to(monkeypatch, address)
    with pytest.raises(InvalidRequestError) as refused:
        targets.require_url("https://hooks.example.com/")
    assert refused.value.errors == {"url": ["This host is not on the public network."]}
    assert send("https://hooks.example.com/") == Answer(error="address not allowed")


@pytest.mark.parametrize(
    "address",
    [PUBLIC, "8.8.8.8", "2606:4700::1111", f"::ffff:{PUBLIC}", "64:ff9b::808:808"],
)
def test_an_address_that_is_public(
    address: str, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.MPS_WEBHOOK_ALLOW_PRIVATE = False
    resolve_to(monkeypatch, address)

    targets.require_url("https://hooks.example.com:8443/mps?to=till")


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "127.0.0.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0"),
        *("[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::]", "10.0.0.1", "169.254.169.254"),
    ],
)
def test_a_host_that_is_this_machine_or_its_neighbour(host: str, settings: Any) -> None:
    settings.MPS_WEBHOOK_ALLOW_PRIVATE = False

    with pytest.raises(InvalidRequestError):
        targets.require_url(f"https://{host}/")
    assert send(f"https://{host}/") == Answer(error="address not allowed")


@pytest.mark.parametrize(
    "url",
    [
        *("", "example.com", "//example.com/", "ftp://example.com/", "file:///etc/passwd"),
        *("https://", "https:///x", "https://:443/", "https://a@example.com/", "javascript:1"),
        *("https://user:pass@example.com/", "https://example.com/#x", "https://example.com:0/"),
        *("https://example.com:99999/", "https://example.com:x/", "https://[::1/", "https://[x]/"),
        *("https://example.com/a b", "https://example.com/\r\nHost: x", "https://exämple.com/"),
        *("https://example.com\\@127.0.0.1/", "https://example.com/" + "x" * 500),
    ],
)
def test_what_is_no_address_to_send_to(url: str) -> None:
    with pytest.raises(InvalidRequestError):
        targets.require_url(url)
    assert send(url) == Answer(error="address not allowed")
    assert targets.host_of(url) == ""


def test_plain_http_is_for_developers(settings: Any) -> None:
    targets.require_url("http://example.com/")

    settings.MPS_WEBHOOK_ALLOW_PRIVATE = False
    with pytest.raises(InvalidRequestError):
        targets.require_url("http://example.com/")
    assert send("http://127.0.0.1/") == Answer(error="address not allowed")


def test_a_name_that_is_not_found(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.MPS_WEBHOOK_ALLOW_PRIVATE = False

    def getaddrinfo(*_host: Any, **_kind: Any) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with pytest.raises(InvalidRequestError) as refused:
        targets.require_url("https://no-such-host.example/")
    assert refused.value.errors == {"url": ["This host was not found."]}
    assert send("https://no-such-host.example/") == Answer(error="host not found")
    # Longer than a name may be.
    assert send(f"https://{'x' * 70}.example/") == Answer(error="host not found")


def test_a_name_that_resolves_differently_the_next_moment_is_no_way_round(
    receiver: Receiver, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.MPS_WEBHOOK_ALLOW_PRIVATE = False
    asked = resolve_to(monkeypatch, PUBLIC, "127.0.0.1")
    url = f"https://rebound.example:{receiver.port}/"
    targets.require_url(url)

    assert send(url) == Answer(error="address not allowed")

    assert asked == ["rebound.example"] * 2
    assert receiver.messages == []


def test_what_was_checked_is_what_is_connected_to(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The second look-up would lead elsewhere; there is none.
    asked = resolve_to(monkeypatch, "127.0.0.1", PUBLIC)

    assert send(f"http://hooks.example:{receiver.port}/x").ok

    [message] = receiver.messages
    assert asked == ["hooks.example"]
    assert message.headers["host"] == f"hooks.example:{receiver.port}"


def test_one_private_address_among_public_ones_is_enough_to_refuse(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.MPS_WEBHOOK_ALLOW_PRIVATE = False
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda *_host, **_kind: [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443))
            for address in (PUBLIC, "10.0.0.1")
        ],
    )

    assert send("https://hooks.example/") == Answer(error="address not allowed")


# --- TLS -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate of `hooks.example`, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hooks.example")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("hooks.example")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + signed.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def secure_receiver(certificate: Path) -> Iterator[Receiver]:
    """A web server with that certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with receiving(tls=context) as receiver:
        yield receiver


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Trust it, as an operator would."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    targets._tls.cache_clear()
    yield
    targets._tls.cache_clear()


def test_the_certificate_is_checked(
    secure_receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve_to(monkeypatch, "127.0.0.1")

    answer = send(f"https://hooks.example:{secure_receiver.port}/")

    assert answer == Answer(error="certificate not trusted")
    assert secure_receiver.messages == []


def test_the_certificate_is_the_name_s_and_not_the_address_s(
    secure_receiver: Receiver, trusted: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve_to(monkeypatch, "127.0.0.1")

    assert send(f"https://hooks.example:{secure_receiver.port}/").ok
    assert send(f"https://other.example:{secure_receiver.port}/") == Answer(
        error="certificate not trusted"
    )


def test_who_speaks_no_tls(receiver: Receiver) -> None:
    assert send(receiver.url.replace("http:", "https:")) == Answer(error="no TLS connection")
