"""PostgreSQL's own client programs on the fleet's database: psql, pg_dump and pg_restore from the wheel."""

import subprocess
from collections.abc import Callable
from typing import IO, AnyStr, Final

from flotilla.stack.servers.postgres_programs import installed_programs
from flotilla.state.environment import UMASK, of_server
from flotilla.state.errors import StackError

SCHEMAS: Final = ("public", "notifier")
"""The orchestrator's, and the notifier's."""
_PIECE: Final = 1 << 20
_COUNTS: Final = """
select string_agg(format('select %L as name, count(*) as rows from %s', one, one), ' union all ') || ' order by 1'
from (
    select format('%I.%I', nspname, relname) as one from pg_class join pg_namespace on pg_namespace.oid = relnamespace
    where nspname in ('public', 'notifier') and relkind = 'r' order by 1
) as tables
\\gexec
"""
_STEPS: Final = """
select format('select %L, name from %I.migrations order by name', nspname, nspname)
from pg_class join pg_namespace on pg_namespace.oid = relnamespace
where relname = 'migrations' and nspname in ('public', 'notifier') order by nspname
\\gexec
"""


class Snapshot:
    """A transaction that sees the record as it was at one moment; pg_dump sees the same by `name`."""

    def __init__(self, access: "RecordAccess", database: str) -> None:
        self._psql = subprocess.Popen(
            access.argv("psql", database, "-XqAt", "-F", "\t", "-v", "ON_ERROR_STOP=1"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=of_server(),
            cwd="/",
        )
        try:
            ((self.name,),) = self.rows(
                "begin isolation level repeatable read read only; select pg_export_snapshot();"
            )
        except BaseException:
            self.close()
            raise

    def counts(self) -> dict[str, int]:
        """How many rows each table has."""
        return {name: int(rows) for name, rows in self.rows(_COUNTS)}

    def steps(self) -> dict[str, list[str]]:
        """The migrations that were applied, by schema."""
        return by_schema(self.rows(_STEPS))

    def rows(self, statements: str) -> list[list[str]]:
        """What they answer. Raises StackError."""
        into, out = _pipe(self._psql.stdin), _pipe(self._psql.stdout)
        try:
            into.write(f"{statements}\n\\echo ---\n")
            into.flush()
        except BrokenPipeError:
            pass
        found: list[list[str]] = []
        for line in out:
            if line == "---\n":
                return found
            found.append(line.rstrip("\n").split("\t"))
        said = _pipe(self._psql.stderr).read().strip()
        raise StackError(f"the record cannot be read: {said}", "see `flotilla doctor`")

    def close(self) -> None:
        """Ends the transaction."""
        for pipe in (self._psql.stdin, self._psql.stdout, self._psql.stderr):
            if pipe is not None:
                pipe.close()
        self._psql.kill()
        self._psql.wait()


class RecordAccess:
    """Runs client programs as whoever may do everything; `dsn_of` says how to connect to a database of the server."""

    def __init__(self, dsn_of: Callable[[str], str]) -> None:
        self.dsn_of = dsn_of

    def argv(self, program: str, database: str, *options: str) -> list[str]:
        """How a client is called."""
        return [str(installed_programs() / program), *options, "--no-password", "-d", self.dsn_of(database)]

    def run(self, database: str, script: str) -> list[list[str]]:
        """Runs statements in one transaction and returns what they answer. Raises StackError."""
        return self._psql(database, script, "--single-transaction")

    def run_plain(self, database: str, script: str) -> list[list[str]]:
        """The same for statements that stand in no transaction."""
        return self._psql(database, script)

    def databases(self) -> set[str]:
        """Those of the server."""
        return {name for (name,) in self.run("postgres", "select datname from pg_database;")}

    def steps(self, database: str) -> dict[str, list[str]]:
        """The migrations that were applied, by schema."""
        return by_schema(self.run(database, _STEPS))

    def counts(self, database: str) -> dict[str, int]:
        """How many rows each table has."""
        return {name: int(rows) for name, rows in self.run(database, _COUNTS)}

    def dump(self, database: str, snapshot: str, into: Callable[[bytes], object]) -> None:
        """Hands a dump in PostgreSQL's custom format on, piece by piece. Raises StackError."""
        chosen = [f"--schema={schema}" for schema in SCHEMAS]
        argv = self.argv("pg_dump", database, "--format=custom", f"--snapshot={snapshot}", *chosen)
        with subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=of_server(), cwd="/"
        ) as run:
            out, errors = _pipe(run.stdout), _pipe(run.stderr)
            try:
                while piece := out.read(_PIECE):
                    into(piece)
                said = errors.read()
            except BaseException:
                run.kill()
                raise
        _check("pg_dump", run.returncode, said.decode(errors="replace"))

    def load(self, database: str, dump: IO[bytes]) -> None:
        """Fills an empty database from a dump. Raises StackError."""
        argv = self.argv("pg_restore", database, "--single-transaction", "--exit-on-error")
        with subprocess.Popen(
            argv, stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=of_server(), cwd="/"
        ) as run:
            fed, errors = _pipe(run.stdin), _pipe(run.stderr)
            try:
                while piece := dump.read(_PIECE):
                    fed.write(piece)
                fed.close()
            except BrokenPipeError:
                pass  # what it said of it is told below
            except BaseException:
                run.kill()
                raise
            said = errors.read()
        _check("pg_restore", run.returncode, said.decode(errors="replace"))

    def _psql(self, database: str, script: str, *options: str) -> list[list[str]]:
        fixed = ("-XqAt", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-f", "-")
        done = subprocess.run(
            self.argv("psql", database, *fixed, *options),
            input=script,
            capture_output=True,
            text=True,
            check=False,
            env=of_server(),
            umask=UMASK,
            cwd="/",
        )
        _check("psql", done.returncode, done.stderr)
        return [line.split("\t") for line in done.stdout.splitlines()]


def by_schema(rows: list[list[str]]) -> dict[str, list[str]]:
    """Rows of a schema and a name."""
    found: dict[str, list[str]] = {}
    for schema, name in rows:
        found.setdefault(schema, []).append(name)
    return found


def _pipe(pipe: IO[AnyStr] | None) -> IO[AnyStr]:
    """One that was asked for."""
    if pipe is None:
        raise ValueError("there is no such pipe")
    return pipe


def _check(program: str, code: int, said: str) -> None:
    if code != 0:
        raise StackError(f"{program} failed: {said.strip()}", "nothing was changed; see `flotilla doctor`")
