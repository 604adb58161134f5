from pathlib import Path

import pytest

from services.orchestrator.settings import OrchestratorSettings


def test_everything_has_a_default() -> None:
    settings = OrchestratorSettings.from_env({"HOME": "/home/u"})
    assert settings.catalog == Path("/home/u/.local/state/flotilla/catalog")
    assert (settings.templates / "__init__.py").exists()
    assert settings.password() is None


def test_the_password_stands_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("secret\n")
    env = {"FLOTILLA_POSTGRES_PASSWORD_FILE": str(tmp_path / "password")}
    assert OrchestratorSettings.from_env(env).password() == "secret"


def test_a_password_in_the_environment_is_refused() -> None:
    with pytest.raises(ValueError, match="FLOTILLA_POSTGRES_PASSWORD_FILE"):
        OrchestratorSettings.from_env({"FLOTILLA_POSTGRES_DSN": "postgresql://u:secret@db/flotilla"})
