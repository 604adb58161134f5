"""What a route is about, which decides what a token that is limited to engines of some labels may do with it."""

from enum import StrEnum


class About(StrEnum):
    """ENGINE is one engine, without a name the active one; ENGINE_OR_FLEET one engine, without a name all of them.

    ENGINES is what there is, of which everybody gets to see his own; FLEET what belongs to no engine or to all, for tokens without
    labels only; SHARED what is the same for all: templates, data, the service itself.
    """

    ENGINE = "engine"
    ENGINE_OR_FLEET = "engine_or_fleet"
    ENGINES = "engines"
    FLEET = "fleet"
    SHARED = "shared"
