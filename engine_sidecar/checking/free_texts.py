"""What people's code says when it is checked, as it may be shown: of a length that can be read, and without keys."""

import re
from typing import Final

import msgspec

from flotilla.schemas.fault import FieldError
from flotilla.schemas.package import PackageFindings

MOST_CHARACTERS: Final = 4096
_LONGEST_SEED: Final = 128
HIDDEN: Final = "***"
_KEY: Final = re.compile(
    # A block to its end, or to that of the text; the parts of a token; a seed of the bus (SU…, SA…, SO…: of a user, an account, an operator, …).
    r"-----BEGIN [A-Z0-9 ]+-----.*?(?:-+END [A-Z0-9 ]+-+|\Z)"
    r"|\beyJ[\w-]{8,}(?:\.[\w-]*){0,2}"
    r"|\bS[UAONCX][A-Z2-7]{20,}",
    re.DOTALL,
)


def shown(text: str, most: int = MOST_CHARACTERS) -> str:
    """The text with `***` for whatever looks like a key, and its beginning if it is long."""
    hidden = _KEY.sub(HIDDEN, text[: most + _LONGEST_SEED])
    return hidden if len(text) <= most else f"{hidden[:most]}… ({len(text):,} characters)"


def raised(error: BaseException) -> str:
    """`ValueError: what it says`, to be shown, with room for words about it. Raises what the error's own code raises."""
    return shown(f"{type(error).__name__}: {error}", MOST_CHARACTERS // 2)


def shown_problem(problem: FieldError) -> FieldError:
    """As it may be shown: the code that is checked has a hand in both."""
    return FieldError(shown(problem.field), shown(problem.message))


def shown_findings(found: PackageFindings) -> PackageFindings:
    """With what is wrong and what was noted as it may be shown."""
    return msgspec.structs.replace(
        found,
        problems=tuple(map(shown_problem, found.problems)),
        notes=tuple(map(shown, found.notes)),
    )
