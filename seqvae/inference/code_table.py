"""Tables of codes on disk: what `encode` writes row by row, and `decode` reads.

A row has a mean and a log-stddev of the posterior of one sequence, the number of the sequence in
its source, and the source. In NumPy's format they are the arrays `means`, `log_stddevs`, `ids` and
`source`; the last are numbers in `sources`. Other formats have a column for each dimension. All but
CSV also name the model, by the fingerprint of its weights.

Axes: N rows, Z latent.
"""

import contextlib
import csv
import shutil
import tempfile
import zipfile
from abc import ABC, abstractmethod
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
from jaxtyping import Float32, Int64
from numpy.typing import NDArray

from seqvae.disk import door, replaced_file
from seqvae.errors import InputError, shown

Means = NDArray[np.float32]
MODEL = "model"  # the name of its fingerprint in a table
REMEDY = "give what seqvae encode wrote, or an array of shape (N, Z)"
ORIGINS = ("ids", "source")  # arrays that say what each row is of
ROWS_TOGETHER = 1000  # of a CSV file that are numbers before the next are read


class CodeTable(ABC):
    """A table that grows row by row; no more than some rows are in memory."""

    num_rows = 0

    def add(
        self,
        source: str,
        ids: Int64[np.ndarray, " N"],
        means: Float32[np.ndarray, "N Z"],
        log_stddevs: Float32[np.ndarray, "N Z"],
    ) -> None:
        """Add the codes of some sequences of a source."""
        self._add(source, ids, np.concatenate([means, log_stddevs], axis=1))
        self.num_rows += len(ids)

    @abstractmethod
    def _add(self, source: str, ids: NDArray[np.int64], codes: Means) -> None:
        """Add rows of means and log-stddevs side by side."""

    def end(self) -> None:  # noqa: B027  # most formats need nothing more
        """Write what comes last."""


@contextlib.contextmanager
def new_table(file: Path, latent_dim: int, model: str) -> Iterator[CodeTable]:
    """A table in the format that the ending names; the file appears once it is whole.

    `model` is the fingerprint of the model whose codes it holds.

    Raises:
        InputError: there is no such format, or what writes it is not installed.
    """
    check_ending(file)
    made = TABLES[file.suffix.lower()]
    with replaced_file(file) as beside, contextlib.ExitStack() as opened:
        table = made(beside, latent_dim, model, opened)
        yield table
        table.end()


def check_ending(file: Path) -> None:
    """Refuse a file whose ending names no format, or one that cannot be written here.

    Raises:
        InputError: the ending is another one, or pyarrow is missing.
    """
    if file.suffix.lower() not in TABLES:
        raise InputError(f"--out {file}: it must end in {', '.join(TABLES)}")
    if file.suffix.lower() == ".parquet":
        _parquet()


class _Arrays(CodeTable):
    """NumPy's .npz. Columns grow in files without a name, which vanish whatever happens."""

    def __init__(
        self, file: Path, latent_dim: int, model: str, opened: contextlib.ExitStack
    ) -> None:
        self.file, self.latent_dim, self.model = file, latent_dim, model
        self.columns = {
            name: opened.enter_context(tempfile.TemporaryFile(dir=file.parent))  # noqa: SIM115
            for name in ("means", "log_stddevs", "ids", "source")
        }
        self.sources: dict[str, int] = {}

    def _add(self, source: str, ids: NDArray[np.int64], codes: Means) -> None:
        number = self.sources.setdefault(source, len(self.sources))
        parts = (*np.split(codes, 2, axis=1), ids, np.full(len(ids), number, np.int64))
        for column, part in zip(self.columns.values(), parts, strict=True):
            column.write(np.ascontiguousarray(part).tobytes())

    def end(self) -> None:
        with zipfile.ZipFile(self.file, "w") as packed:
            for name, column in self.columns.items():
                width = (self.latent_dim,) if name in ("means", "log_stddevs") else ()
                kind = np.float32 if width else np.int64
                with packed.open(f"{name}.npy", "w", force_zip64=True) as member:
                    header = {
                        "descr": np.lib.format.dtype_to_descr(np.dtype(kind)),
                        "fortran_order": False,
                        "shape": (self.num_rows, *width),
                    }
                    np.lib.format.write_array_header_1_0(member, header)
                    column.seek(0)
                    shutil.copyfileobj(column, member, 2**20)
            for name, texts in (("sources", list(self.sources) or [""]), (MODEL, self.model)):
                with packed.open(f"{name}.npy", "w") as member:
                    np.lib.format.write_array(member, np.array(texts, np.str_), allow_pickle=False)


class _Csv(CodeTable):
    """A line a row; nine digits repeat a float32 exactly."""

    def __init__(
        self, file: Path, latent_dim: int, _model: str, opened: contextlib.ExitStack
    ) -> None:
        self.stream: IO[str] = opened.enter_context(file.open("w", encoding="utf-8", newline=""))
        self.writer = csv.writer(self.stream, lineterminator="\n")
        self.writer.writerow(_names(latent_dim))
        self.form = "\n".join([",".join(["%.9g"] * (2 * latent_dim))])

    def _add(self, source: str, ids: NDArray[np.int64], codes: Means) -> None:
        rows = ((self.form % tuple(row)).split(",") for row in codes.tolist())
        self.writer.writerows(
            [source, number, *row] for number, row in zip(ids.tolist(), rows, strict=True)
        )


class _Parquet(CodeTable):
    """A row group for each call."""

    def __init__(
        self, file: Path, latent_dim: int, model: str, opened: contextlib.ExitStack
    ) -> None:
        self.arrow, parquet = _parquet()
        floats = [(name, self.arrow.float32()) for name in _names(latent_dim)[2:]]
        columns = [("source", self.arrow.string()), ("id", self.arrow.int64()), *floats]
        self.schema = self.arrow.schema(columns, metadata={MODEL: model})
        self.writer = opened.enter_context(parquet.ParquetWriter(file, self.schema))

    def _add(self, source: str, ids: NDArray[np.int64], codes: Means) -> None:
        columns = [[source] * len(ids), ids, *codes.T]
        self.writer.write_table(self.arrow.table(columns, schema=self.schema))


TABLES: dict[str, Any] = {".npz": _Arrays, ".csv": _Csv, ".parquet": _Parquet}


def _parquet() -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise InputError("Parquet needs pyarrow (pip install pyarrow); or take .npz") from error
    return pyarrow, parquet


def _names(latent_dim: int) -> list[str]:
    numbers = range(latent_dim)
    return [
        "source", "id", *(f"mean_{i}" for i in numbers), *(f"log_stddev_{i}" for i in numbers)
    ]  # fmt: skip


@dataclass(frozen=True, eq=False)
class Origins:
    """What each code of a table is of."""

    ids: Int64[np.ndarray, " N"]
    """Its number in its source, counted from 1."""
    source: Int64[np.ndarray, " N"]
    """Its source: the number of that in `sources`."""
    sources: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Table:
    """What a file holds."""

    means: Means
    model: str | None = None
    """The fingerprint of their model, where it is known."""
    origins: Origins | None = None


def read_means(file: Path, latent_dim: int, model: str | None = None) -> Float32[np.ndarray, "N Z"]:
    """The means of a table of codes, or the only array of a file of NumPy's.

    `model` is the fingerprint of the model that is to decode them; None takes those of any.

    Raises:
        InputError: there is no such file, it is damaged or of another kind, or its codes are of
            another model.
    """
    return _read(file, latent_dim, model, whole=False).means


def read_codes(
    file: Path, latent_dim: int | None = None, model: str | None = None
) -> tuple[Float32[np.ndarray, "N Z"], Origins]:
    """The means of a table of codes, and what each is of.

    `latent_dim` and `model` are those of the model that they must be of; None takes any.

    Raises:
        InputError: as for `read_means`; or the table does not say what its codes are of.
    """
    table = _read(file, latent_dim, model, whole=True)
    if table.origins is None:
        raise InputError(f"{file}: does not say what its codes are of; encode the inputs again")
    return table.means, table.origins


@np.errstate(over="ignore")  # too large a number is infinite, and refused
def _read(file: Path, latent_dim: int | None, model: str | None, *, whole: bool) -> _Table:
    """A table of codes; the `whole` of it has ids and sources, too, where it holds them."""
    readers: dict[str, Callable[[Path, bool], _Table]] = {
        ".npz": _read_arrays, ".npy": _read_array, ".csv": _read_csv, ".parquet": _read_parquet,
    }  # fmt: skip
    if file.is_dir():
        raise InputError(f"{file}: a folder; name a file in it: {REMEDY}")
    if not file.is_file():
        raise InputError(f"{file}: no such file; {REMEDY}")
    if file.suffix.lower() not in readers:
        raise InputError(f"{file}: it must end in {', '.join(readers)}")
    if file.suffix.lower() == ".parquet":
        _parquet()
    with door(file, REMEDY, zipfile.BadZipFile, csv.Error):
        table = readers[file.suffix.lower()](file, whole)
    means = table.means
    if means.ndim != 2 or latent_dim not in (None, means.shape[1]) or not len(means):
        wanted = "N, Z" if latent_dim is None else f"N, {latent_dim}"
        taker = "a table of codes is" if latent_dim is None else "this model takes"
        raise InputError(f"{file}: codes of shape {means.shape}; {taker} ({wanted})")
    if None not in (table.model, model) and table.model != model:
        raise InputError(
            f"{file}: codes of another model, or of this one before its weights changed; encode "
            "the inputs again with this one, or give the means alone (.npy)"
        )
    if not (finite := np.isfinite(means).all(1)).all():
        row = int(np.flatnonzero(~finite)[0])
        raise InputError(f"{file}: row {row}, counted from 0, holds a number that is not finite")
    return table


def _read_arrays(file: Path, _whole: bool) -> _Table:
    with np.load(file, allow_pickle=False) as arrays:
        names = list(arrays)
        if "means" not in names and len(names) != 1:
            raise KeyError("means")
        means = _real(arrays["means" if "means" in names else names[0]])
        model = str(arrays[MODEL]) if MODEL in names else None
        if "means" not in names or not {"ids", "source", "sources"} <= {*names}:
            return _Table(means, model)
        ids, source = (arrays[name].astype(np.int64, casting="same_kind") for name in ORIGINS)
        sources = tuple(map(str, arrays["sources"].tolist()))
    for name, column in zip(ORIGINS, (ids, source), strict=True):
        if column.shape != means.shape[:1]:
            raise ValueError(f"means of shape {means.shape}, but {name} of shape {column.shape}")
    if len(source) and not 0 <= source.min() <= source.max() < len(sources):
        raise ValueError(f"source holds numbers outside of the {len(sources)} of sources")
    return _Table(means, model, Origins(ids, source, sources))


def _read_array(file: Path, _whole: bool) -> _Table:
    return _Table(_real(np.load(file, allow_pickle=False)))


def _real(numbers: NDArray[Any]) -> Means:
    """An array of numbers; complex ones and text are refused."""
    return numbers.astype(np.float32, casting="same_kind")


def _read_csv(file: Path, whole: bool) -> _Table:
    with file.open(encoding="utf-8", newline="") as stream:
        rows = csv.reader(stream)
        names = next(rows, [])
        means = _mean_columns(names)
        whole = whole and {"source", "id"} <= {*names}
        columns = [*means, names.index("id")] if whole else means
        at = names.index("source") if whole else 0
        numbers: dict[str, int] = {}
        source, parts = array("q"), [np.empty((0, len(columns)))]
        some: list[tuple[int, list[str]]] = []
        for row in rows:
            if len(row) <= max(*columns, at):
                raise ValueError(f"line {rows.line_num} ends before its means do")
            some.append((rows.line_num, [row[column] for column in columns]))
            if whole:
                source.append(numbers.setdefault(row[at], len(numbers)))
            if len(some) == ROWS_TOGETHER:
                parts.append(_numbers_in(some, [names[column] for column in columns]))
                some = []
        parts.append(_numbers_in(some, [names[column] for column in columns]))
    read = np.concatenate(parts)
    table = _Table(read[:, : len(means)].astype(np.float32))
    if not whole:
        return table
    if not (read[:, -1] == (ids := read[:, -1].astype(np.int64))).all():
        raise ValueError("an id is no whole number")
    return replace(table, origins=Origins(ids, np.array(source, np.int64), tuple(numbers)))


def _numbers_in(lines: list[tuple[int, list[str]]], names: list[str]) -> NDArray[np.float64]:
    """The numbers in some cells of lines, which have numbers themselves.

    Raises:
        ValueError: a cell holds none.
    """
    try:
        return np.array([cells for _, cells in lines], np.float64).reshape(-1, len(names))
    except ValueError:
        for line, cells in lines:
            for name, cell in zip(names, cells, strict=True):
                try:
                    float(cell)
                except ValueError:
                    reason = f"line {line}: {name} is {shown(cell)}, which is no number"
                    raise ValueError(reason) from None
        raise


def _read_parquet(file: Path, whole: bool) -> _Table:
    pyarrow, parquet = _parquet()
    try:
        table = parquet.read_table(file)
        names = table.column_names
        columns = [table.column(names[i]).to_numpy() for i in _mean_columns(names)]
        model = (table.schema.metadata or {}).get(MODEL.encode())
        means = np.stack(columns, axis=1).astype(np.float32)
        read = _Table(means, model and model.decode())
        if not whole or not {"source", "id"} <= {*names}:
            return read
        ids = table.column("id").to_numpy().astype(np.int64)
        of_rows = table.column("source").to_pylist()
    except pyarrow.ArrowException as error:
        raise ValueError(str(error)) from error
    numbers = {name: number for number, name in enumerate(dict.fromkeys(of_rows))}
    source = np.array([numbers[name] for name in of_rows], np.int64)
    return replace(read, origins=Origins(ids, source, tuple(map(str, numbers))))


def _mean_columns(names: list[str]) -> list[int]:
    """The columns `mean_0`, `mean_1` and so on, in this order.

    Raises:
        ValueError: one of them is missing.
    """
    wanted = [f"mean_{i}" for i in range(max(1, sum(name.startswith("mean_") for name in names)))]
    for name in wanted:
        if name not in names:
            raise ValueError(f"no column {name!r}")
    return [*map(names.index, wanted)]
