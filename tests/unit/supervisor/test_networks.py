"""Which networks a fleet has, beside those of others."""

import pytest

from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.services.supervisor.core.networks import Chosen, SeenNetwork, own_network

USUAL = Chosen(name="flotilla-bus", subnet="10.231.0.0/24")
OWNER = "flotilla-aaaaaaaaaa"
OTHERS = SeenNetwork(name="flotilla-bus", owner="flotilla-bbbbbbbbbb", subnets=("10.231.0.0/24",))


def test_the_first_fleet_has_the_usual_one() -> None:
    assert own_network(USUAL, OWNER, ()) == USUAL
    assert own_network(USUAL, OWNER, [SeenNetwork(name="flotilla-bus", owner=OWNER)]) == USUAL
    # Made by hand, with whatever range.
    assert own_network(USUAL, OWNER, [SeenNetwork(name="flotilla-bus")]) == USUAL


def test_another_has_one_of_its_own_in_the_next_range_that_nobody_has() -> None:
    seen = [OTHERS, SeenNetwork(name="x", subnets=("10.231.2.0/23", "fd00::/64")), SeenNetwork(name="host")]
    own = own_network(USUAL, OWNER, seen, reserved=["10.231.1.0/24"])
    assert own == Chosen(name="flotilla-bus-aaaaaaaaaa", subnet="10.231.4.0/24")


def test_a_range_of_ones_choice_is_taken_as_it_is() -> None:
    """Docker says when it is not free."""
    own = own_network(USUAL, OWNER, [OTHERS], reserved=["10.240.7.0/24"], wanted="10.240.7.0/24")
    assert own == Chosen(name="flotilla-bus-aaaaaaaaaa", subnet="10.240.7.0/24")


def test_it_keeps_the_one_it_has() -> None:
    mine = SeenNetwork(name="flotilla-bus-aaaaaaaaaa", owner=OWNER, subnets=("10.231.9.0/24",))
    for seen in ([OTHERS, mine], [mine], [SeenNetwork(name="flotilla-bus", owner=OWNER), mine]):
        assert own_network(USUAL, OWNER, seen) == Chosen(name=mine.name, subnet="10.231.9.0/24")


def test_the_way_out_of_a_fleet_with_a_network_of_its_own_is_its_own_too() -> None:
    """The fleet with the usual networks makes its way out when an engine needs it, and must not find another's."""
    own = own_network(USUAL, OWNER, (), reserved=["10.231.0.0/24"], is_usual=False)
    assert own == Chosen(name="flotilla-bus-aaaaaaaaaa", subnet="10.231.1.0/24")


def test_engines_of_an_earlier_release_are_not_left_behind_on_anothers() -> None:
    shared = SeenNetwork(name=OTHERS.name, owner=OTHERS.owner, subnets=OTHERS.subnets, has_ours=True)
    assert own_network(USUAL, OWNER, [shared]) == USUAL


def test_where_no_range_is_free_the_variable_is_named() -> None:
    everything = SeenNetwork(name="wide", subnets=("10.0.0.0/8",))
    with pytest.raises(FaultError, match="FLOTILLA_NETWORK_SUBNET") as caught:
        own_network(USUAL, OWNER, [OTHERS, everything])
    assert caught.value.fault.code == FaultCode.CONFLICT
