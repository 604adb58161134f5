"""Adapters by name, for what secrets are bound to."""

import pytest

from flotilla.schemas.fault import FaultError
from flotilla.state.adapters import adapter_module, known_adapters
from tests.venue_runs import NAMES, venue


def test_every_class_and_factory_of_a_venue_of_ours_is_in_the_package_of_its_adapter() -> None:
    assert sorted(known_adapters()) == NAMES
    for name, module in known_adapters().items():
        for side in filter(None, (venue(name)["data"], venue(name)["execution"])):
            assert all(path.startswith(f"{module}.") for path in side.values()), name
    assert adapter_module("binance") == "nautilus_trader.adapters.binance"


def test_an_adapter_of_ones_own_is_named_by_its_package() -> None:
    assert adapter_module("my_adapters.bazaar") == "my_adapters.bazaar"
    assert adapter_module("bazaar:BazaarDataClientConfig") == "bazaar"


@pytest.mark.parametrize("name", ["binanace", "", "a..b", "a.b ", "../x", "x.\u0435vil", "a/b.c"])
def test_what_names_no_adapter_is_refused_with_those_that_there_are(name: str) -> None:
    with pytest.raises(FaultError, match="binance, bitmex"):
        adapter_module(name)
