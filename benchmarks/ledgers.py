"""A page of the fills of one engine of a week of several, against 100 rows of that table by its key: median time."""

import asyncio
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.rounds import compare, report
from flotilla.schemas.ledger import LedgerName, ReadFills
from flotilla.services.orchestrator.adapters.ledgers import PostgresLedgers
from flotilla.services.orchestrator.adapters.postgres import PostgresRecord
from flotilla.stack.servers.postgres import PostgresServer

PAGES = 20
LIMIT = 12.0
FILLS = 700_000
_START = datetime(2026, 1, 1, tzinfo=UTC)
_WEEK = """
insert into ledger_fills
select 's' || n % 5, n, 'e' || n % 5, $1::timestamptz + n * interval '0.864 seconds', 'BINANCE', null, 'T-' || n, 'O-' || n,
    (array['BTCUSDT', 'ETHUSDT', 'SOLUSDT'])[1 + n % 3] || '.BINANCE', 'S-1', case n % 2 when 0 then 'BUY' else 'SELL' end, '1', '60000.10', 'USDT',
    '0.1', 'TAKER', 0, null, null, false
from generate_series(1, $2::integer) as n
"""

_BY_KEY = "select * from ledger_fills where session_id = 's3' and seq > $1 order by seq limit 100"


async def measure(server: PostgresServer) -> int:
    """Fills the ledger and prints the ratio."""
    record = await PostgresRecord.open(server.dsn)
    await record.migrate()
    async with record.transaction() as connection:
        await connection.execute(_WEEK, _START, FILLS, timeout=600)
    await record.run_alone("vacuum analyze ledger_fills", timeout_s=600)
    ledgers = PostgresLedgers(record)
    question = ReadFills(instance_ids=("e3",), instrument_ids=("ETHUSDT.BINANCE",), sides=("BUY",))

    async def ours() -> float:
        times = []
        for _ in range(PAGES):
            started = time.perf_counter()
            found = await ledgers.page(LedgerName.FILLS, question, ["e3"], None)
            times.append(time.perf_counter() - started)
            if len(found) != question.limit:
                raise RuntimeError("the ledger lacks rows")
        return statistics.median(times) * 1e3

    async def by_key() -> float:
        times = []
        async with record.transaction() as connection:
            for _ in range(PAGES):
                started = time.perf_counter()
                await connection.fetch(_BY_KEY, 7)
                times.append(time.perf_counter() - started)
        return statistics.median(times) * 1e3

    mine, plain = await compare(ours, by_key, rounds=5)
    await record.close()
    return report(f"a page of a ledger of {FILLS:,} fills", mine, plain, "ms", LIMIT)


def main() -> int:
    """Starts a server of its own; 1 when the ratio is over the limit."""
    with tempfile.TemporaryDirectory() as folder:
        server = PostgresServer(Path(folder) / "postgres")
        server.start()
        try:
            return asyncio.run(measure(server))
        finally:
            server.stop()


if __name__ == "__main__":
    sys.exit(main())
