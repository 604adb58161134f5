"""Rows of classes that are not NautilusTrader's, as a backtest chooses them: the class that reads them, and what the catalog has of it."""

import msgspec

from flotilla.schemas.backtest import BacktestConfig, CustomData
from flotilla.schemas.fault import FieldError
from flotilla.schemas.package import ComponentKind
from flotilla.schemas.simulation import ComponentChoice
from flotilla.services.orchestrator.backtests.core.catalog_index import CatalogIndex
from flotilla.services.orchestrator.templates.core.components import component
from flotilla.services.orchestrator.templates.core.strategies import Rendered
from flotilla.services.orchestrator.templates.core.templates import TemplateSet


class OfOwnClasses(msgspec.Struct, frozen=True, kw_only=True):
    """What is fed, and the classes that it is of, with their packages."""

    data: tuple[CustomData, ...]
    classes: tuple[Rendered, ...]


def custom_data(
    config: BacktestConfig, template_set: TemplateSet, catalog_index: CatalogIndex
) -> tuple[OfOwnClasses, list[FieldError]]:
    """What was chosen of it, or everything that is wrong with that."""
    made: set[CustomData] = set()
    classes, errors = [], []
    for index, choice in enumerate(config.custom_data):
        at = f"config.custom_data[{index}]"
        asked = ComponentChoice(path=choice.path)
        found, wrong = component(asked, ComponentKind.DATA, at, template_set, None)
        errors += wrong
        if found is None:
            continue
        path = str(found.config["data_path"])
        rows = _rows(path, choice.client_id or config.venues[0], config, catalog_index)
        if not rows:
            errors.append(FieldError(f"{at}.path", _not_held(path, config, catalog_index)))
        if any(one.path == path for one in made):
            errors.append(
                FieldError(f"{at}.path", f"{path} is chosen twice: its rows are fed once, of one client")
            )
        classes.append(found)
        made |= rows
    return OfOwnClasses(data=tuple(sorted(made)), classes=tuple(classes)), errors


def _rows(path: str, client_id: str, config: BacktestConfig, catalog_index: CatalogIndex) -> set[CustomData]:
    held = catalog_index.custom(path.rpartition(":")[2], config.instruments)
    return {CustomData(path=path, client_id=client_id, identifier=each) for each in held}


def _not_held(path: str, config: BacktestConfig, catalog_index: CatalogIndex) -> str:
    name = path.rpartition(":")[2]
    there = sorted({each.data_type for each in catalog_index.entries if each.is_custom})
    return (
        f"the catalog has no rows of a class {name} of {', '.join(config.instruments)}, or of no instrument; "
        f"of classes that are not NautilusTrader's it has {', '.join(there) or 'none'}"
    )
