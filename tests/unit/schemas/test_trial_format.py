"""The number of the trial format goes up with what it is the number of."""

import hashlib
from typing import Any

import msgspec

from flotilla.schemas.backtest import FIGURES_VERSION, TRIAL_FORMAT, Outcome, TrialJob

KNOWN = {
    1: "b5174c492752f028",
    2: "265e0a34a83470f8",
    3: "5b0787566e88cb73",
    4: "54a806bcbf433519",
    5: "9ad633113673f21d",
    6: "f098f76e7531a69f",
    7: "49f313f220a389f8",
}
"""By format: of the shapes of work and result, and of the definition of figures."""


def without_prose(schema: Any) -> Any:
    if isinstance(schema, list):
        return [without_prose(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    is_text = isinstance(schema.get("description"), str)
    return {
        name: without_prose(part)
        for name, part in schema.items()
        if not (name == "title" or (name == "description" and is_text))
    }


def test_a_change_of_work_or_result_raises_the_format() -> None:
    """When this fails: raise TRIAL_FORMAT, so that workers that run are replaced, and put the new mark beside its number."""
    shapes = without_prose(msgspec.json.schema_components((TrialJob, Outcome))[1])
    mark = hashlib.sha256(msgspec.json.encode([shapes, FIGURES_VERSION], order="sorted")).hexdigest()[:16]
    assert mark == KNOWN.get(TRIAL_FORMAT)
