"""Settings from the environment."""

from pathlib import Path

from flotilla.services.gateway.settings import GatewaySettings


def test_without_a_word_it_listens_to_this_machine_only() -> None:
    settings = GatewaySettings.from_env({"HOME": "/home/me"})
    assert (settings.host, settings.port, settings.origins) == ("127.0.0.1", 8001, ())
    assert (settings.names, settings.rate, settings.connections) == ({"127.0.0.1"}, 200.0, 256)
    assert settings.tokens_file == Path("/home/me/.local/state/flotilla/tokens.jsonl")


def test_everything_can_be_said_in_the_environment() -> None:
    settings = GatewaySettings.from_env(
        {
            "FLOTILLA_STATE": "/state",
            "FLOTILLA_HTTP_HOST": "0.0.0.0",
            "FLOTILLA_HTTP_PORT": "9000",
            "FLOTILLA_HTTP_ORIGINS": "https://desk.example, http://localhost:5173",
            "FLOTILLA_HTTP_NAMES": "Desk.example,gateway",
            "FLOTILLA_HTTP_RATE": "2.5",
            "FLOTILLA_HTTP_CONNECTIONS": "9",
            "FLOTILLA_MAX_STREAMS": "7",
            "FLOTILLA_LOG_LEVEL": "DEBUG",
        }
    )
    assert (settings.host, settings.port, settings.max_streams) == ("0.0.0.0", 9000, 7)
    assert settings.origins == ("https://desk.example", "http://localhost:5173")
    assert settings.names == {"0.0.0.0", "desk.example", "gateway"}
    assert (settings.rate, settings.connections) == (2.5, 9)
    assert settings.tokens_file == Path("/state/tokens.jsonl")
    assert GatewaySettings.from_env({"FLOTILLA_TOKENS_FILE": "/t"}).tokens_file == Path("/t")
