"""docs/metrics.md has each figure with the labels and the meaning that the code gives it."""

from pathlib import Path

from flotilla.services.gateway.fleet.probes import OWN_FIGURES
from flotilla.services.gateway.live.fleet_figures import (
    ENGINE_FIGURES,
    FLEET_FIGURES,
    HOST_FIGURES,
    SERVICE_FIGURES,
)

PAGE = (Path(__file__).parents[3] / "docs/metrics.md").read_text().splitlines()


def test_the_page_has_each_figure_of_a_row_with_its_labels_and_meaning() -> None:
    for of, figures in (("engine", ENGINE_FIGURES), ("host", HOST_FIGURES), ("service", SERVICE_FIGURES)):
        for figure in figures:
            labels = ", ".join(f"`{label}`" for label in (of, *figure.labels))
            assert f"| `{figure.name}` | {labels} | {figure.meaning} |" in PAGE


def test_the_page_has_the_totals_and_the_gateways_own_figures() -> None:
    own = {f"flotilla_gateway_{name}": meaning for name, meaning in OWN_FIGURES.items()}
    for name, meaning in {**FLEET_FIGURES, **own}.items():
        assert [line for line in PAGE if line.startswith(f"| `{name}` |") and line.endswith(f"| {meaning} |")]
