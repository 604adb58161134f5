"""What templates look like to people: those that are served, those that are not, and a verdict on parameters."""

from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from flotilla.schemas.catalog import Parameter, StrategyVerdict, TemplateFault, TemplateList, TemplateView
from flotilla.show.output import table


def templates_report(found: Mapping[str, TemplateList]) -> RenderableType:
    """The templates of each kind, then the files that are not served."""
    parts: list[RenderableType] = []
    for kind, listed in found.items():
        parts += [Text(f"{kind} templates", style="bold"), _templates(listed.templates), Text("")]
    faults = [fault for listed in found.values() for fault in listed.faults]
    if faults:
        parts += [Text("files that are not served", style="bold red"), *_faults(faults), Text("")]
    return Group(*parts[:-1])


def template_details(template: TemplateView) -> RenderableType:
    """A template's parameters."""
    made = table("PARAMETER", "TYPE", "DEFAULT", "ABOUT")
    for name, parameter in template.parameters.items():
        bounds = _bounds(parameter)
        default = "(required)" if parameter.required else _default(parameter.default)
        made.add_row(name, _kind(parameter) + bounds, default, parameter.help)
    head = Text.assemble((template.name, "bold"), f"  {template.description}\n")
    return Group(head, made if template.parameters else Text("it takes no parameters"))


def verdict_report(verdict: StrategyVerdict) -> RenderableType:
    """Whether the parameters are sound, and everything that is wrong with them."""
    if verdict.is_valid or not verdict.errors:
        return Text.assemble(("● ", "green" if verdict.is_valid else "red"), verdict.message)
    lines = [Text.assemble(("● ", "red"), "refused")]
    lines += [Text(f"  {error.field}: {error.message}") for error in verdict.errors]
    return Group(*lines)


def _templates(templates: Sequence[TemplateView]) -> Table:
    made = table("TEMPLATE", "DESCRIPTION")
    for template in templates:
        doubt = "" if template.is_checked else "not checked yet: "
        made.add_row(
            Text(template.name, style="bold"), Text.assemble((doubt, "yellow"), template.description)
        )
    return made


def _faults(faults: Sequence[TemplateFault]) -> list[Text]:
    return [Text(f"{fault.file}: {fault.message}") for fault in faults]


def _kind(parameter: Parameter) -> str:
    """`decimal`, `list of decimal`, `BUY|SELL`."""
    if parameter.type == "enum":
        return "|".join(parameter.choices)
    if parameter.type in ("list", "map") and parameter.items:
        return f"{parameter.type} of {_kind(parameter.items)}"
    if parameter.type == "object":
        return f"object ({', '.join(parameter.fields)})"
    return parameter.type


def _bounds(parameter: Parameter) -> str:
    low, high = parameter.min, parameter.max
    told = f" {'' if low is None else f'{low:g}'}..{'' if high is None else f'{high:g}'}"
    above = "" if parameter.above is None else f" >{parameter.above:g}"
    below = "" if parameter.below is None else f" <{parameter.below:g}"
    return ("" if low is None and high is None else told) + above + below


def _default(value: object) -> str:
    return "" if value is None else str(value)
