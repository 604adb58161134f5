"""What is asked and said about the instruments of a catalog."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from flotilla.schemas.ids import HostId, InstrumentId, RequestId
from flotilla.schemas.instrument_classes import InstrumentClass


class AddInstrument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Describes one instrument: what is given, over the row of the table that `like` (else the id) names, over the JSON of `file`.

    `name` is an id, or the root of a future of the table. `fields` have NautilusTrader's names and what people type for them.
    `new_currencies` are codes that NautilusTrader does not know, taken as crypto currencies of 8 decimals as it does.
    """

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    instrument_class: InstrumentClass | None = None
    like: str | None = None
    file: str | None = None
    fields: dict[str, str | bool] = {}
    new_currencies: tuple[str, ...] = ()


class ImportInstruments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Brings instruments from a JSON file, a DBN file of definitions, or the folder of another NautilusTrader catalog; all of them, or
    those of `only`. With `exchange_as_venue` those of a DBN file are of the exchange (XCME) and not of the feed's venue (GLBX).
    `is_venue_list`: the file is what a venue lists, of which those that cannot be described are left out and named. `is_dry_run`: nothing
    is stored.
    """

    source: str
    only: tuple[str, ...] = ()
    exchange_as_venue: bool = False
    new_currencies: tuple[str, ...] = ()
    is_venue_list: bool = False
    is_dry_run: bool = False


class ListVenue(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks a venue for its instruments, through the data client of its adapter.

    `path` and `factory` name the client's config class and its factory as `module:Class`; `config` are its fields, `secret` those that
    must not be shown. `match` are ids, or patterns of them with `*` and `?`; all without any.
    """

    adapter: str
    path: str
    factory: str
    config: dict[str, Any] = {}
    secret: dict[str, Any] = {}
    match: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"ListVenue(adapter={self.adapter!r}, match={self.match!r})"


class VenueList(msgspec.Struct, frozen=True, kw_only=True, tag="listed", tag_field="event"):
    """The last word of a venue's listing: how many it has, how many of them matched, and the crypto currencies that it names."""

    listed: int
    matched: int
    currencies: tuple[str, ...] = ()


class VenueRefused(msgspec.Struct, frozen=True, kw_only=True, tag="error", tag_field="event"):
    """Why there is no list. `is_away`: the venue did not answer as it should, so that another time may do."""

    message: str
    is_away: bool = False


class InstrumentToRemove(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An instrument; with `force` also where data of it stays behind. `host` says whose, where several are in sight."""

    name: InstrumentId
    force: bool = False
    host: HostId | None = None


class RemoveInstrument(InstrumentToRemove, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for it to be taken out of the catalog."""

    request_id: RequestId | None = None


class FieldValue(msgspec.Struct, frozen=True, kw_only=True):
    """A field as it is: NautilusTrader's name and text, what that means to people, and its unit."""

    name: str
    value: Any
    shown: str
    unit: str = ""


class InstrumentView(msgspec.Struct, frozen=True, kw_only=True):
    """An instrument of the catalog. `nautilus` is its `to_dict`, which `instrument import` takes again; `data` are the data sets of it."""

    id: str
    instrument_class: InstrumentClass
    fields: tuple[FieldValue, ...]
    nautilus: dict[str, Any]
    data: tuple[str, ...] = ()


class InstrumentList(msgspec.Struct, frozen=True, kw_only=True):
    """The instruments of a catalog, by id."""

    instruments: tuple[InstrumentView, ...]


class InstrumentChange(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an instrument: added, replaced, unchanged or removed; which fields changed, and what was assumed."""

    id: str
    outcome: str
    instrument_class: InstrumentClass
    changed: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()
    data: tuple[str, ...] = ()


class InstrumentChanges(msgspec.Struct, frozen=True, kw_only=True):
    """What became of each instrument that was asked for; `left_out` are those of a venue that cannot be described, and why.

    `listed` is how many a venue has. `is_dry_run`: this is what would become of them.
    """

    changes: tuple[InstrumentChange, ...]
    left_out: tuple[str, ...] = ()
    listed: int | None = None
    is_dry_run: bool = False


class CommonInstrument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A row of the table of common instruments; a field that is not there is not known, and must be given.

    `key` is an id, or a symbol at any venue. `is_root`: it is the root of a future's symbols; `venue` is where. `expires` is the rule for the
    last moment of a contract month, None where it follows a calendar of holidays; `is_of_month`: contracts expire in their month.
    """

    key: str
    instrument_class: InstrumentClass
    fields: dict[str, str | bool]
    source: str
    date: str
    venue: str | None = None
    is_root: bool = False
    is_of_month: bool = False
    months: str = "FGHJKMNQUVXZ"
    expires: str | None = None
