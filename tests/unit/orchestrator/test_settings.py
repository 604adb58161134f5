import os
from pathlib import Path

import pytest

from flotilla.services.orchestrator.settings import OrchestratorSettings


def test_everything_has_a_default() -> None:
    settings = OrchestratorSettings.from_env({"HOME": "/home/u"})
    assert settings.catalog == Path("/home/u/.local/state/flotilla/catalog")
    assert (settings.templates[0] / "__init__.py").exists()
    assert settings.password() is None


def test_the_password_stands_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("secret\n")
    env = {"FLOTILLA_POSTGRES_PASSWORD_FILE": str(tmp_path / "password")}
    assert OrchestratorSettings.from_env(env).password() == "secret"


def test_a_password_in_the_environment_is_refused() -> None:
    with pytest.raises(ValueError, match="FLOTILLA_POSTGRES_PASSWORD_FILE"):
        OrchestratorSettings.from_env({"FLOTILLA_POSTGRES_DSN": "postgresql://u:secret@db/flotilla"})


def test_template_folders_of_ones_own_come_after_ours() -> None:
    ours = OrchestratorSettings.from_env({}).templates
    env = {"FLOTILLA_TEMPLATES": os.pathsep.join(["/mine", "", "/yours"])}
    assert OrchestratorSettings.from_env(env).templates == (*ours, Path("/mine"), Path("/yours"))


def test_orphans_are_stopped_after_a_minute_unless_told_otherwise() -> None:
    settings = OrchestratorSettings.from_env({})
    assert (settings.orphan_policy, settings.orphan_grace_s, settings.lease_ttl_s) == ("stop", 60.0, 120.0)
    chosen = OrchestratorSettings.from_env(
        {
            "FLOTILLA_ORPHAN_POLICY": "Adopt",
            "FLOTILLA_ORPHAN_GRACE_S": "0",
            "FLOTILLA_LEASE_TTL_S": "30",
        }
    )
    assert (chosen.orphan_policy, chosen.orphan_grace_s, chosen.lease_ttl_s) == ("adopt", 0.0, 30.0)


def test_the_audit_is_kept_for_400_days_unless_told_otherwise() -> None:
    assert OrchestratorSettings.from_env({}).audit_days == 400.0
    assert OrchestratorSettings.from_env({"FLOTILLA_AUDIT_DAYS": "30"}).audit_days == 30.0
