"""Columns of NautilusTrader's own files as numbers, whichever precision the NautilusTrader had that wrote them."""

from typing import Any, Final

import pyarrow as pa

_SCALES: Final = {16: 16, 8: 9}
"""Decimals of its raw numbers by their bytes: of high precision, and of standard precision."""


def with_numbers(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch with decimals in the place of raw numbers."""
    return pa.record_batch([_number(column) for column in batch.columns], names=batch.schema.names)


def _number(column: Any) -> Any:
    if not pa.types.is_fixed_size_binary(column.type) or column.type.byte_width not in _SCALES:
        return column
    kind = pa.decimal128(38, _SCALES[column.type.byte_width])
    if column.type.byte_width == 8:
        whole = pa.Array.from_buffers(pa.int64(), len(column), column.buffers(), offset=column.offset)
        # A cast would keep the value, not the raw number.
        column = whole.cast(pa.decimal128(38, 0))
    return pa.Array.from_buffers(kind, len(column), column.buffers(), offset=column.offset)
