"""A supervisor's settings from its environment."""

from pathlib import Path

from flotilla.schemas.environment import RuntimeChoice
from flotilla.services.supervisor.settings import SupervisorSettings


def test_without_variables_there_is_a_sound_default() -> None:
    settings = SupervisorSettings.from_env({"HOME": "/home/ann"})
    assert settings.runtime == RuntimeChoice.AUTO
    assert settings.state == Path("/home/ann/.local/state/flotilla")
    assert settings.docker_url == "unix:///var/run/docker.sock"
    assert settings.profile.image == "flotilla-engine:latest"
    assert settings.profile.command == ()
    assert settings.sidecar_command[-2:] == ("-m", "flotilla.engine_sidecar")
    assert settings.signing_key is None
    assert settings.labels == {}
    assert settings.secret_folder == Path("/home/ann/.local/state/flotilla/secrets")
    assert settings.secret_key_file == Path("/home/ann/.local/state/flotilla/keys/secrets.key")


def test_every_variable_is_read() -> None:
    settings = SupervisorSettings.from_env(
        {
            "FLOTILLA_HOST": "h1",
            "FLOTILLA_HOST_LABELS": "desk=rates, zone=b",
            "FLOTILLA_OWNER": "me",
            "FLOTILLA_RUNTIME": "process",
            "FLOTILLA_STATE": "/s",
            "DOCKER_HOST": "unix:///other.sock",
            "FLOTILLA_ENGINE_IMAGE": "i:1",
            "FLOTILLA_NETWORK": "n",
            "FLOTILLA_NETWORK_SUBNET": "10.9.0.0/24",
            "FLOTILLA_CATALOG": "/catalog",
            "FLOTILLA_ENGINE_NATS_URL": "nats://10.9.0.1:4222",
            "FLOTILLA_NATS_URL": "nats://127.0.0.1:5222",
            "FLOTILLA_ENGINE_COMMAND": "sh -c 'read line'",
            "FLOTILLA_PROCESS_COMMAND": "python -m other",
            "FLOTILLA_SIGNING_KEY": "/k.nk",
            "FLOTILLA_ACCOUNT": "AB",
            "FLOTILLA_ENGINES_ACCOUNT": "AC",
            "FLOTILLA_SECRETS": "/secrets",
            "FLOTILLA_SECRETS_KEY_FILE": "/key",
            "FLOTILLA_REDIS_URL": "redis://r:6379",
            "FLOTILLA_REDIS_PASSWORD_FILE": "/p",
            "FLOTILLA_ENGINE_REDIS_HOST": "redis",
            "FLOTILLA_ENGINE_REDIS_PORT": "7000",
            "FLOTILLA_EGRESS_NETWORK": "out",
            "FLOTILLA_EGRESS_SUBNET": "10.8.0.0/24",
            "FLOTILLA_LOG_LEVEL": "DEBUG",
        }
    )
    assert (settings.host, settings.owner, settings.runtime) == ("h1", "me", RuntimeChoice.PROCESS)
    assert settings.labels == {"desk": "rates", "zone": "b"}
    assert (settings.state, settings.signing_key) == (Path("/s"), Path("/k.nk"))
    assert (settings.docker_url, settings.subnet) == ("unix:///other.sock", "10.9.0.0/24")
    assert settings.profile.command == ("sh", "-c", "read line")
    assert settings.sidecar_command == ("python", "-m", "other")
    assert (settings.profile.network, settings.profile.catalog) == ("n", "/catalog")
    assert settings.engine_bus_url == "nats://10.9.0.1:4222"
    assert settings.process_bus_url == "nats://127.0.0.1:5222"
    assert (settings.secret_folder, settings.redis_password_file) == (Path("/secrets"), Path("/p"))
    assert settings.secret_key_file == Path("/key")
    assert (settings.redis_url, settings.engine_redis_host) == ("redis://r:6379", "redis")
    assert settings.engine_redis_port == 7000
    assert (settings.profile.egress, settings.egress_subnet) == ("out", "10.8.0.0/24")
    assert (settings.account, settings.engines_account, settings.log_level) == ("AB", "AC", "DEBUG")


def test_our_own_variable_wins_over_dockers() -> None:
    env = {"DOCKER_HOST": "unix:///a", "FLOTILLA_DOCKER_URL": "unix:///b"}
    assert SupervisorSettings.from_env(env).docker_url == "unix:///b"


def test_engines_find_the_bus_in_the_range_of_their_network() -> None:
    """A range of one's own, as the remedy for one that is taken says, needs nothing besides."""
    settings = SupervisorSettings.from_env({"HOME": "/home/ann", "FLOTILLA_NETWORK_SUBNET": "10.240.7.0/24"})
    assert settings.engine_bus_url == "nats://10.240.7.1:4222"
