"""What every kind of test shares."""

import signal

import pytest
from hypothesis import settings

# What an example may take is no property of the code: on a loaded machine it takes what it takes.
settings.register_profile("flotilla", deadline=None)
settings.load_profile("flotilla")


def pytest_configure() -> None:
    """A run that a script put into the background ignores Ctrl-C, and so would every program that a test sends one to."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The folders with few and long files come before all others: a long one at the end would run alone."""
    items.sort(key=lambda item: not item.nodeid.startswith(("tests/venues/", "tests/simulation/")))
