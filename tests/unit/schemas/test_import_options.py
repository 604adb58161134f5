"""The options of an import are the same over bus and REST as on the command line, whichever of them gets a new one."""

import msgspec

from flotilla.cli.commands.data import import_
from flotilla.engine_sidecar.catalog.command_line import parser
from flotilla.engine_sidecar.catalog.event_columns import IMPORTED
from flotilla.engine_sidecar.catalog.reading import DataType
from flotilla.schemas.data import IMPORTED_TYPES, ImportOptions

NOT_OVER_THE_BUS = {"sample", "files", "host"}


def over_the_bus() -> dict[str, object]:
    return {one.encode_name: one.default for one in msgspec.structs.fields(ImportOptions)}


def test_every_option_of_the_command_line_is_one_of_bus_and_rest_too() -> None:
    shown = {param.opts[0].removeprefix("--").replace("-", "_") for param in import_.params if param.name}
    common = {"state", "json", "help"}
    assert shown - common - NOT_OVER_THE_BUS == set(over_the_bus())


def test_all_that_can_be_imported_can_be_asked_for() -> None:
    assert (*map(str, DataType), *map(str, IMPORTED)) == IMPORTED_TYPES


def test_what_is_left_out_means_the_same_for_the_program() -> None:
    known = vars(parser().parse_args(["import", "--catalog", "/x"]))
    names = {one.encode_name: one.name for one in msgspec.structs.fields(ImportOptions)}
    for shown, default in over_the_bus().items():
        if default is not msgspec.NODEFAULT:
            assert known[names[shown]] == default, shown
