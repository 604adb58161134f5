"""Databento's binary files (DBN) as the CSV that Databento would have given: their own decoder makes it, with symbols for instrument ids."""

import io
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import databento_dbn as dbn
import pyarrow as pa
from nautilus_trader.model.instruments import Instrument

from flotilla.engine_sidecar.catalog.reading import DataType
from flotilla.engine_sidecar.catalog.refusal import ImportRefusedError

MAGIC: Final = b"DBN"
DEFINITION: Final = "definition"
_SCHEMAS: Final[dict[str, tuple[DataType, ...]]] = {
    "trades": (DataType.TRADES,),
    "tbbo": (DataType.TRADES, DataType.QUOTES),
    "tcbbo": (DataType.TRADES, DataType.QUOTES),
    **dict.fromkeys(
        ("mbp-1", "mbp-10", "bbo-1s", "bbo-1m", "cmbp-1", "cbbo-1s", "cbbo-1m"), (DataType.QUOTES,)
    ),
    **dict.fromkeys(("ohlcv-1s", "ohlcv-1m", "ohlcv-1h", "ohlcv-1d", "ohlcv-eod"), (DataType.BARS,)),
}
"""What the records of each schema can be imported as; of a book its best bid and offer."""
_FIXED_BYTES: Final = 8
_MOST_METADATA: Final = 256 << 20
_PIECE_BYTES: Final = 1 << 20


@contextmanager
def csv_bytes(raw: Any, file: Path) -> Iterator[io.BufferedIOBase]:
    """The records of an open DBN file as CSV. Raises ImportRefusedError for what is cut off or not DBN."""
    with io.BufferedReader(_AsCsv(raw, file), _PIECE_BYTES) as text:
        yield text


def check_schema(raw: Any, file: Path, data_type: DataType) -> None:
    """Raises ImportRefusedError where the records of an open DBN file are none of `data_type`."""
    _, schema = _metadata(raw, file)
    if schema == DEFINITION:
        raise ImportRefusedError("is DBN of instruments: bring them in by instrument import", file)
    given = _SCHEMAS.get(schema or "")
    if given is None:
        raise ImportRefusedError(
            f"is DBN of schema {schema or 'several'}, which is not imported; {', '.join(_SCHEMAS)} are", file
        )
    if data_type not in given:
        raise ImportRefusedError(f"is DBN of schema {schema}: give --type {' or '.join(given)}", file)


def check_definitions(raw: Any, file: Path) -> None:
    """Raises ImportRefusedError where the records of an open DBN file are no instruments."""
    _, schema = _metadata(raw, file)
    if schema != DEFINITION:
        raise ImportRefusedError(
            f"is DBN of schema {schema or 'several'}, not of instruments: bring it in by data import", file
        )


def check_whole(raw: Any, file: Path) -> None:
    """Raises ImportRefusedError for an open DBN file that is cut off, which NautilusTrader takes for its end."""
    with csv_bytes(raw, file) as text:
        while text.read(_PIECE_BYTES):
            pass


def instruments_of(raw: Any, file: Path, *, exchange_as_venue: bool) -> list[Instrument]:
    """The instruments of an open DBN file of definitions, as NautilusTrader makes them; of one that was changed the last.

    Raises ImportRefusedError.
    """
    # Half a second, because its package brings the live clients along.
    from nautilus_trader.adapters.databento.loaders import DatabentoDataLoader  # noqa: PLC0415

    # It takes no file that is not packed.
    with tempfile.NamedTemporaryFile(suffix=".dbn.zst") as copy:
        with pa.output_stream(copy.name, compression="zstd") as packed:
            shutil.copyfileobj(raw, packed)
        try:
            found = DatabentoDataLoader().from_dbn_file(copy.name, use_exchange_as_venue=exchange_as_venue)
        except Exception as error:  # noqa: BLE001 - whatever NautilusTrader says of foreign files
            raise ImportRefusedError(f"is no DBN of instruments that can be read: {error}", file) from None
    return newest(found)


def newest(found: Iterable[Instrument]) -> list[Instrument]:
    """Of each instrument that was written again and again the last."""
    return list({one.id: one for one in sorted(found, key=lambda one: one.ts_init)}.values())


def _metadata(raw: Any, file: Path) -> tuple[bytes, str | None]:
    """The bytes before the first record, and the schema of the records, None being several."""
    head = bytes(raw.read(_FIXED_BYTES))
    length = int.from_bytes(head[4:], "little")
    if len(head) < _FIXED_BYTES or length > _MOST_METADATA:
        raise ImportRefusedError("is no readable DBN: it ends before its first record", file)
    head += bytes(raw.read(length))
    try:
        return head, dbn.Metadata.decode(head).schema
    except dbn.DBNError as error:
        raise ImportRefusedError(f"is no readable DBN: {error}", file) from None


class _AsCsv(io.RawIOBase):
    """Reads as much of the records as is asked for of their text."""

    def __init__(self, raw: Any, file: Path) -> None:
        self._raw, self._file = raw, file
        self._made = io.BytesIO()
        self._transcoder = dbn.Transcoder(
            self._made,
            dbn.Encoding.from_str("csv"),
            dbn.Compression.from_str("none"),
            pretty_px=False,
            pretty_ts=False,
            map_symbols=True,
        )
        self._text = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._text and (piece := bytes(self._raw.read(_PIECE_BYTES))):
            self._text = memoryview(self._csv(piece))
        if not self._text and self._transcoder.buffer():
            raise ImportRefusedError("is no readable DBN: it is cut off within a record", self._file)
        size = min(len(buffer), len(self._text))
        buffer[:size] = self._text[:size]
        self._text = self._text[size:]
        return size

    def _csv(self, piece: bytes) -> bytes:
        try:
            self._transcoder.write(piece)
            self._transcoder.flush()
        except dbn.DBNError as error:
            raise ImportRefusedError(f"is no readable DBN: {error}", self._file) from None
        text = self._made.getvalue()
        self._made.seek(0)
        self._made.truncate()
        return text
