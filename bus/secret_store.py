"""The secret store of a host: a folder of `<name>.json`, encrypted, and a file of keys. The CLI writes it, the supervisor reads it.

Writers take turns by a lock on the folder. Readers take none: every file is whole, and a key goes only after the last file that needs it.
"""

import fcntl
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from flotilla.bus.files import opened_folder, write_whole
from flotilla.bus.key_file import KeyFile, make_private, read_private
from flotilla.bus.sealed_secret import (
    SecretError,
    SecretKeys,
    UnknownKeyError,
    is_sealed,
    key_of,
    plain_values,
)
from flotilla.schemas.decoding import convert
from flotilla.schemas.fault import FaultCode, FaultError, FieldError, fault, invalid
from flotilla.schemas.ids import Name
from flotilla.schemas.secrets import BoundSecret, SecretBinding, StoredSecret

MAX_BYTES: Final = 64 << 10
"""Of a file as an earlier release wrote it, and of the values of a secret as JSON."""
_MAX_FILE_BYTES: Final = 2 * MAX_BYTES
_SUFFIX: Final = ".json"
_TRIES: Final = 3
WITHOUT_ADAPTER: Final = FieldError(
    "adapter",
    "must be given, such as `--adapter binance`: the secret goes to no other, and only where that one sends it",
)
_LEFT: Final = re.compile(r"\A\..+\.[0-9a-f]{8}\Z")


class Rotation(msgspec.Struct, frozen=True, kw_only=True):
    """What a change of keys came to: the number of the key that encrypts now, and the secrets that it encrypts."""

    key: int
    secrets: tuple[str, ...]


class SecretStore:
    """The secrets in `folder`, under the keys in `key_file`. `at` names the field in errors.

    All raise FaultError `invalid` that says what is wrong with a file, never what is in it.
    """

    def __init__(self, folder: Path, key_file: Path, *, at: str = "secret") -> None:
        self._folder = folder
        self._key_file = KeyFile(key_file)
        self._at = at

    def read(self, names: Iterable[str]) -> dict[str, BoundSecret]:
        """The secrets of these names, open."""
        return {name: self._opened(name) for name in sorted(set(names))}

    def all(self) -> Iterator[StoredSecret]:
        """What may be shown of every secret, sorted by name."""
        for path in self._files():
            try:
                yield self._shown(path)
            except FaultError as error:
                problem = error.fault.errors[0].message
                yield StoredSecret(name=path.stem, problem=problem.removeprefix(f"secret {path.stem!r} "))

    def has(self, name: str) -> bool:
        """True when there is one of that name, whatever its file holds."""
        return self._path(name).exists()

    def save(self, name: str, values: dict[str, Any], binding: SecretBinding | None = None) -> SecretBinding:
        """Stores a secret, over the one of that name if there is one, whose binding it keeps when it is given none."""
        path = self._path(name)
        _check(values)
        with self._locked():
            kept = binding or (self._opened(name).binding if path.exists() else None)
            if kept is None:
                raise invalid(WITHOUT_ADAPTER)
            self._write(
                name, BoundSecret(values=values, binding=kept), self._key_file.ensure(self._numbers())
            )
        return kept

    def bind(self, name: str, binding: SecretBinding) -> None:
        """Binds a secret that is there anew. Raises FaultError `not_found` too."""
        path = self._path(name)
        with self._locked():
            if not path.exists():
                raise fault(FaultCode.NOT_FOUND, f"no secret {name}")
            values = self._values(path)
            self._write(
                name, BoundSecret(values=values, binding=binding), self._key_file.ensure(self._numbers())
            )

    def remove(self, name: str) -> None:
        """Deletes a secret. Raises FaultError `not_found`."""
        path = self._path(name)
        if not path.exists():
            raise fault(FaultCode.NOT_FOUND, f"no secret {name}")
        with self._locked():  # else a change of keys would write it again
            path.unlink(missing_ok=True)

    def encrypt_plain(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Encrypts the files of an earlier release, bound to nothing: their names, and in words why others could not be."""
        done: list[str] = []
        failed: list[str] = []
        for path in self._files():
            try:
                if self._encrypted_now(path):
                    done.append(path.stem)
            except FaultError as error:
                failed.append(error.fault.message)
        return tuple(done), tuple(failed)

    def rotate_key(self) -> Rotation:
        """Puts a new key before the others, encrypts all with it, and then drops the others. Killed at any step, all can be read."""
        with self._locked():
            opened = self._all_opened()
            keys = self._key_file.add(self._key_file.read(), self._numbers())
            rotation = self._encrypted(opened, keys)
            self._key_file.write(keys.only_current())
        return rotation

    def encrypt_again(self) -> Rotation:
        """Encrypts all with the first key of the key file, which stays as it is: for one that others write."""
        with self._locked():
            opened = self._all_opened()
            return self._encrypted(opened, self._key_file.ensure(self._numbers()))

    def _encrypted_now(self, path: Path) -> bool:
        """Encrypts a file of an earlier release; False for one that is encrypted."""
        if not self._is_plain(path):
            return False
        with self._locked():
            if not self._is_plain(path):  # somebody was quicker, and may have bound it
                return False
            values = self._values(path)
            self._write(path.stem, BoundSecret(values=values), self._key_file.ensure(self._numbers()))
        return True

    def _encrypted(self, opened: dict[str, BoundSecret], keys: SecretKeys) -> Rotation:
        for name, secret in opened.items():
            self._write(name, secret, keys)
        return Rotation(key=keys.current, secrets=tuple(opened))

    def _all_opened(self) -> dict[str, BoundSecret]:
        """Every secret, those of an earlier release too. Raises before anything is changed when one cannot be read."""
        return {
            path.stem: BoundSecret(values=self._values(path))
            if self._is_plain(path)
            else self._opened(path.stem)
            for path in self._files()
        }

    def _values(self, path: Path) -> dict[str, Any]:
        """Of a secret, and of one that is not encrypted yet."""
        data = self._content(path)
        if is_sealed(data):
            return self._opened(path.stem).values
        try:
            return plain_values(data)
        except SecretError as error:
            raise self._fault(path.stem, str(error)) from None

    def _opened(self, name: str) -> BoundSecret:
        problem = ""
        for _ in range(_TRIES):
            # The file first: a key that it needs is dropped only after the file was encrypted with another.
            data = self._content(self._path(name))
            keys = self._key_file.read()
            try:
                return keys.opened(name, data)
            except UnknownKeyError as error:
                problem = f"{error}: {self._key_file.path}"
            except SecretError as error:
                raise self._fault(name, str(error)) from None
        raise self._fault(name, problem)

    def _shown(self, path: Path) -> StoredSecret:
        if self._is_plain(path):
            fields = tuple(sorted(self._values(path)))
            return StoredSecret(
                name=path.stem, fields=fields, problem="is not encrypted yet, and needs a binding"
            )
        opened = self._opened(path.stem)
        problem = "" if opened.binding else "needs a binding"
        return StoredSecret(
            name=path.stem, fields=tuple(sorted(opened.values)), binding=opened.binding, problem=problem
        )

    def _is_plain(self, path: Path) -> bool:
        return not is_sealed(self._content(path))

    def _content(self, path: Path) -> bytes:
        # A name cannot leave the folder: it has neither dots nor slashes.
        try:
            return read_private(path, _MAX_FILE_BYTES)
        except FileNotFoundError:
            raise self._fault(path.stem, "is not in the secret store of this host") from None
        except OSError as error:
            raise self._fault(path.stem, f"cannot be read: {error.strerror}") from None
        except SecretError as error:
            raise self._fault(path.stem, str(error)) from None

    def _write(self, name: str, secret: BoundSecret, keys: SecretKeys) -> None:
        try:
            write_whole(self._path(name), keys.sealed(name, secret), as_folder=True)
        except OSError as error:
            raise self._fault(name, f"cannot be written: {error.strerror}") from None

    def _numbers(self) -> set[int]:
        """Of the keys that the files here were encrypted with."""
        found = set()
        for path in self._files():
            with suppress(FaultError, SecretError):  # what names no key
                found.add(key_of(self._content(path)))
        return found

    def _files(self) -> list[Path]:
        return sorted(path for path in self._folder.glob(f"*{_SUFFIX}") if not path.name.startswith("."))

    def _path(self, name: str) -> Path:
        return self._folder / (convert(name, Name, "name") + _SUFFIX)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Alone among writers, and without what killed ones have left: a copy of a key would outlive its rotation."""
        try:
            make_private(self._folder)
        except OSError as error:
            raise invalid(FieldError(self._at, f"{self._folder} cannot be made: {error.strerror}")) from None
        with opened_folder(self._folder) as folder:
            fcntl.flock(folder, fcntl.LOCK_EX)
            _sweep(self._folder, ".")
            _sweep(self._key_file.path.parent, f".{self._key_file.path.name}.")
            yield

    def _fault(self, name: str, problem: str) -> FaultError:
        return invalid(FieldError(self._at, f"secret {name!r} {problem}"))


def _check(values: dict[str, Any]) -> None:
    if not values or not all(values):
        raise invalid(FieldError("values", "must be a JSON object of config fields to values"))
    if empty := sorted(field for field, value in values.items() if value in ("", None)):
        raise invalid(FieldError(f"values.{empty[0]}", "must not be empty"))
    if len(msgspec.json.encode(values)) > MAX_BYTES:
        raise invalid(FieldError("values", f"must not be over {MAX_BYTES >> 10} KiB"))


def _sweep(folder: Path, prefix: str) -> None:
    with suppress(OSError):  # not there, or not ours
        for name in os.listdir(folder):
            if name.startswith(prefix) and _LEFT.match(name):
                (folder / name).unlink()
