"""What people are told of packages."""

from flotilla.cli.drafts import with_draft
from flotilla.schemas.package import PackageRemoved, PackageView
from flotilla.services.orchestrator.packages.core.offers import view
from flotilla.show.package_tables import package_details, packages_table, pushed_report, removed_report
from tests.unit.flotilla.test_tables import drawn
from tests.unit.orchestrator.test_components import VERSIONS as COMPONENT_VERSIONS
from tests.unit.orchestrator.test_packages import DRAFT, VERSIONS, C

OLDER, NEWEST, A_DRAFT = (view(each, VERSIONS) for each in VERSIONS)


def said(pushed: PackageView) -> str:
    return drawn(pushed_report(pushed, "flotilla"))


def test_a_push_of_older_content_says_that_the_name_alone_means_a_later_version() -> None:
    assert "mine alone means a later version" in said(OLDER)
    assert "--strategy mine@1" in said(OLDER)
    assert "later version" not in said(NEWEST)
    assert "--strategy mine@2" in said(NEWEST)


def test_a_draft_is_shown_by_the_beginning_of_its_digest() -> None:
    short = f"sha256-{C[:12]}"
    removed = PackageRemoved(name="mine", version=DRAFT, digest=C)
    for shown in (packages_table([A_DRAFT]), package_details(A_DRAFT, "flotilla"), removed_report(removed)):
        assert short in drawn(shown)
    assert f"mine@{short} has no name" in drawn(removed_report(removed))
    assert "(a draft)" in drawn(package_details(A_DRAFT, "flotilla"))


def test_what_runs_beside_strategies_is_shown_with_its_parameters() -> None:
    found = view(COMPONENT_VERSIONS[1], COMPONENT_VERSIONS)
    text = " ".join(drawn(package_details(found, "flotilla")).split())
    assert "actor mine@2:Watch d every integer, 5 h" in text
    assert "margin model mine@2:Margin" in text
    assert "backtest run" not in text, "there is no strategy in it"
    assert "mine:Watch, mine:Slices" in " ".join(drawn(pushed_report(found, "flotilla")).split())
    assert "package show mine@2" in said(found)
    assert "mine:Watch" in drawn(packages_table([found]))


def test_a_path_to_a_class_of_what_was_just_uploaded_means_that() -> None:
    found = view(COMPONENT_VERSIONS[1], COMPONENT_VERSIONS)
    given = {"actors": [{"path": "mine:Watch"}, {"path": "os:system"}], "modules": {"path": 5}}
    assert with_draft(given, found) == {
        "actors": [{"path": "mine@2:Watch"}, {"path": "os:system"}],
        "modules": {"path": 5},
    }
