"""What a worker and the process of a trial say to each other over a socketpair, in the frames of frames.py."""

import msgspec

from flotilla.schemas.backtest import TrialFailure, TrialJob


class RunTrial(msgspec.Struct, frozen=True, tag=True):
    """The only frame to a trial's process: what to run, and what its manifest says of where it ran. `packages` are archives,
    `wheels` is the folder of what these need.
    """

    job: TrialJob
    catalog_path: str
    host: str
    image: str
    packages: tuple[bytes, ...] = ()
    wheels: str = ""


class Progressed(msgspec.Struct, frozen=True, tag=True):
    """The JSON of a TrialProgress."""

    data: bytes


class Produced(msgspec.Struct, frozen=True, tag=True):
    """A piece of the compressed Outcome, or of the compressed tear sheet after it, in order; `is_last` ends either."""

    data: bytes
    is_last: bool
    is_report: bool = False


class Refused(msgspec.Struct, frozen=True, tag=True):
    """The trial's last word where it gives no result."""

    reason: TrialFailure
    detail: str


type FromTrial = Progressed | Produced | Refused
