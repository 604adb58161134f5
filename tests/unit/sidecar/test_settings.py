"""How a sidecar is set up by its environment."""

import pytest

from flotilla.engine_sidecar.session.settings import Settings


def test_a_variable_that_is_empty_is_one_that_is_not_set() -> None:
    assert Settings.from_env({"FLOTILLA_QUEUE_EVENTS": "", "FLOTILLA_FLUSH_S": ""}) == Settings.from_env({})


@pytest.mark.parametrize("name", ["FLOTILLA_QUEUE_EVENTS", "FLOTILLA_FLUSH_S"])
def test_what_is_no_number_is_refused_by_the_name_of_its_variable(name: str) -> None:
    with pytest.raises(ValueError, match=rf"\A{name} 'many' must be a number\Z"):
        Settings.from_env({name: "many"})
