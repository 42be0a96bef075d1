"""Who asks: what a proxy of ours says counts, what a stranger says does not; and which host is ours."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.platform import hosts
from idp.platform.hosts import Proxies

ONE = "10.0.0.1"
STRANGER = "203.0.113.9"


@pytest.mark.rule("HTT-03", "LOG-08")
@pytest.mark.parametrize(
    ("proxies", "peer", "forwarded", "client"),
    [
        ("", STRANGER, "198.51.100.7", STRANGER),
        ("", "127.0.0.1", "198.51.100.7", "127.0.0.1"),
        (ONE, STRANGER, "198.51.100.7", STRANGER),
        (ONE, ONE, None, ONE),
        (ONE, ONE, "", ONE),
        (ONE, ONE, "198.51.100.7", "198.51.100.7"),
        (ONE, ONE, "6.6.6.6, 198.51.100.7", "198.51.100.7"),
        (ONE, ONE, "6.6.6.6, 198.51.100.7, 10.0.0.1", "198.51.100.7"),
        ("10.0.0.0/8", "10.0.0.2", "6.6.6.6, 198.51.100.7, 10.3.3.3", "198.51.100.7"),
        ("10.0.0.0/8", "10.0.0.2", "10.4.4.4, 10.3.3.3", "10.4.4.4"),
        ("10.0.0.0/8; 1", "10.0.0.2", "198.51.100.7, 10.3.3.3", "10.3.3.3"),
        ("10.0.0.0/8; 2", "10.0.0.2", "6.6.6.6, 198.51.100.7, 10.3.3.3", "198.51.100.7"),
        ("10.0.0.0/8; 2", "10.0.0.2", "6.6.6.6, 198.51.100.7", "198.51.100.7"),
        ("1", "127.0.0.1", "6.6.6.6, 198.51.100.7", "198.51.100.7"),
        ("1", "127.0.0.1", "6.6.6.6, 192.168.1.7", "192.168.1.7"),
        ("1", STRANGER, "198.51.100.7", STRANGER),
        ("2", "172.16.0.1", "6.6.6.6, 198.51.100.7, 10.3.3.3", "198.51.100.7"),
        (ONE, ONE, "198.51.100.7:4711", "198.51.100.7"),
        (ONE, ONE, "[2001:db8::7]:4711", "2001:db8::7"),
        (ONE, ONE, "2001:db8::7", "2001:db8::7"),
        (ONE, ONE, "::ffff:198.51.100.7", "198.51.100.7"),
        (ONE, "::ffff:10.0.0.1", "198.51.100.7", "198.51.100.7"),
        (ONE, ONE, "198.51.100.7, unknown", ONE),
        (ONE, ONE, "198.51.100.7, <script>", ONE),
        ("2001:db8::/32", "2001:db8::1", "198.51.100.7", "198.51.100.7"),
    ],
)
def test_the_right_most_hop_that_is_no_proxy_of_ours_is_the_client(
    proxies: str, peer: str, forwarded: str | None, client: str
) -> None:
    headers = {} if forwarded is None else {"HTTP_X_FORWARDED_FOR": forwarded}
    assert hosts.client_address(peer, headers, Proxies.parse(proxies)) == client


@pytest.mark.rule("HTT-03", "LOG-08")
@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        ("for=198.51.100.7", "198.51.100.7"),
        ("for=6.6.6.6, for=198.51.100.7;proto=https;by=10.0.0.9", "198.51.100.7"),
        ('For="[2001:db8::7]:4711"', "2001:db8::7"),
        ("for=_hidden", ONE),
        ("proto=https", ONE),
        ('for="', ONE),
    ],
)
def test_the_standard_header_counts_where_the_common_one_is_missing(forwarded: str, client: str) -> None:
    assert hosts.client_address(ONE, {"HTTP_FORWARDED": forwarded}, Proxies.parse(ONE)) == client


@given(st.text(), st.text())
def test_no_header_breaks_the_reading(common: str, standard: str) -> None:
    headers = {"HTTP_X_FORWARDED_FOR": common, "HTTP_FORWARDED": standard}
    assert hosts.client_address(ONE, headers, Proxies.parse(ONE))
    assert hosts.client_address(ONE, {"HTTP_FORWARDED": standard}, Proxies.parse(ONE))


@pytest.mark.rule("LOG-08")
@given(st.lists(st.ip_addresses().map(str), max_size=6))
def test_nothing_a_stranger_writes_in_front_changes_the_client(written: list[str]) -> None:
    headers = {"HTTP_X_FORWARDED_FOR": ", ".join([*written, STRANGER])}
    assert hosts.client_address(ONE, headers, Proxies.parse(ONE)) == STRANGER


@pytest.mark.parametrize("text", ["10.0.0.0/8; 2", "10.0.0.1/32", "::1/128, 10.0.0.0/8"])
def test_proxies_are_written_as_they_are_read(text: str) -> None:
    assert str(Proxies.parse(text)) == text


@pytest.mark.parametrize(
    ("host", "url", "same"),
    [
        ("id.example.com", "https://id.example.com", True),
        ("ID.Example.Com", "https://id.example.com", True),
        ("id.example.com:443", "https://id.example.com", True),
        ("id.example.com:80", "https://id.example.com", False),
        ("id.example.com:8443", "https://id.example.com:8443", True),
        ("id.example.com", "https://id.example.com:8443", False),
        ("localhost:80", "http://localhost", True),
        ("[::1]:8000", "http://[::1]:8000", True),
        ("id.example.com.", "https://id.example.com", False),
        ("evil.example.com", "https://id.example.com", False),
    ],
)
def test_a_host_is_ours_in_any_letter_case_with_or_without_the_implied_port(host: str, url: str, same: bool) -> None:
    assert hosts.names(host, url) is same


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
def test_this_machine_has_several_names(host: str) -> None:
    assert hosts.is_loopback(host)


@pytest.mark.parametrize("host", ["", "localhost.", "127.0.0.1.example.com", "10.0.0.1", "0.0.0.0", "localhost:80"])
def test_other_names_are_not_this_machine(host: str) -> None:
    assert not hosts.is_loopback(host)
