"""Names that we are called by, and pages that call us."""

import pytest

from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.services.gateway.web.origins import check_host, check_origin

NAMES = frozenset({"desk.example", "gateway"})


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1:8001",
        "10.0.0.5:80",
        "[::1]:8001",
        "[fe80::1]",
        "localhost",
        "LocalHost:8001",
        "localhost.",
        "desk.example:443",
        "Desk.Example",
        "gateway:8001",
    ],
)
def test_addresses_localhost_and_our_own_names_are_ours(host: str) -> None:
    check_host([host], NAMES)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "evil.example:8001",
        "desk.example.evil",
        "xdesk.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "2130706433.",
        "0x7f.1",
        "[::1",
        "[x]",
        "a b",
        "desk.example@evil.example",
        "é",
        "\udcff",
    ],
)
def test_any_other_name_is_not(host: str) -> None:
    with pytest.raises(FaultError, match="FLOTILLA_HTTP_NAMES") as caught:
        check_host([host], NAMES)
    assert caught.value.fault.code == FaultCode.FORBIDDEN


def test_a_request_without_a_host_comes_from_no_browser_and_one_with_two_is_no_request() -> None:
    check_host([], NAMES)
    with pytest.raises(FaultError) as caught:
        check_host(["localhost", "localhost"], NAMES)
    assert caught.value.fault.code == FaultCode.MALFORMED


@pytest.mark.parametrize(
    ("origins", "hosts"),
    [
        ([], ["localhost:8001"]),
        (["http://localhost:8001"], ["localhost:8001"]),
        (["https://Desk.example"], ["desk.example"]),
        (["http://[::1]:8001"], ["[::1]:8001"]),
        (["https://other.example"], ["localhost:8001"]),
    ],
)
def test_no_page_our_own_and_those_on_the_list_may_call(origins: list[str], hosts: list[str]) -> None:
    check_origin(origins, hosts, ("https://other.example",))


@pytest.mark.parametrize(
    ("origins", "hosts"),
    [
        (["https://evil.example"], ["localhost:8001"]),
        (["null"], ["localhost:8001"]),
        ([""], ["localhost:8001"]),
        (["http://localhost:9000"], ["localhost:8001"]),
        (["http://localhost"], ["localhost:8001"]),
        (["https://other.example.evil"], ["localhost:8001"]),
        (["http://other.example"], ["localhost:8001"]),
        (["http://localhost:8001", "https://evil.example"], ["localhost:8001"]),
        (["http://[::1"], ["localhost:8001"]),
        (["http://localhost:8001"], []),
    ],
)
def test_no_other_page_may(origins: list[str], hosts: list[str]) -> None:
    with pytest.raises(FaultError, match="FLOTILLA_HTTP_ORIGINS") as caught:
        check_origin(origins, hosts, ("https://other.example",))
    assert caught.value.fault.code == FaultCode.FORBIDDEN
