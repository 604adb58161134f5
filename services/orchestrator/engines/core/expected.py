"""Whether what would be run is what somebody looked at before."""

from collections.abc import Mapping, Sequence

from flotilla.schemas.fault import FaultCode, FieldError, fault
from flotilla.schemas.package import PackageRef

_FIELD = "expected_digests"


def refuse_unexpected(packages: Sequence[PackageRef], expected: Mapping[str, str] | None) -> None:
    """Raises FaultError `conflict` where the packages are others than `expected`, digests by name; null expects nothing."""
    if expected is None:
        return
    now = {each.name: each for each in packages}
    errors = [
        FieldError(f"{_FIELD}.{name}", _other(each, expected.get(name)))
        for name, each in now.items()
        if expected.get(name) != each.digest
    ]
    errors += [
        FieldError(f"{_FIELD}.{name}", "the engine would run nothing of this package")
        for name in sorted(expected.keys() - now.keys())
    ]
    if errors:
        text = "what the engine would run is not what was confirmed: look at it again, and then start it"
        raise fault(FaultCode.CONFLICT, text, *errors)


def _other(now: PackageRef, expected: str | None) -> str:
    would = f"the engine would run {now.label} (digest {now.digest})"
    return (
        f"{would}, which nobody confirmed"
        if expected is None
        else f"{would}, and {expected[:12]} was confirmed"
    )
