import pytest

from service.rpc.asking import headers_of, peer_of


@pytest.mark.parametrize(
    ("peer", "found"),
    [
        ("ipv4:192.0.2.7:4711", ("192.0.2.7", 4711)),
        ("ipv6:%5B2001:db8::1%5D:4711", ("2001:db8::1", 4711)),
        ("ipv6:[::1]:80", ("::1", 80)),
        ("unix:/tmp/a.sock", None),
        ("", None),
    ],
)
def test_a_peer_is_an_address_and_a_port(peer: str, found: tuple[str, int] | None) -> None:
    assert peer_of(peer) == found


def test_the_nearer_deadline_holds() -> None:
    assert headers_of((("x-deadline-ms", "50"),), 1.0) == {"x-deadline-ms": "50"}
    assert headers_of((("x-deadline-ms", "5000"),), 1.0) == {"x-deadline-ms": "1000.000"}
    assert headers_of((), None) == {}
    assert headers_of((("x-deadline-ms", "soon"),), 1.0) == {"x-deadline-ms": "soon"}


def test_only_what_means_something_here_is_heard() -> None:
    metadata = (("authorization", "Bearer x"), ("user-agent", "grpc"), ("origin", "https://a"), ("key-bin", b"1"))
    assert headers_of(metadata, None) == {"authorization": "Bearer x"}
