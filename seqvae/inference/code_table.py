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
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
from jaxtyping import Float32, Int64
from numpy.typing import NDArray

from seqvae.disk import door, replaced_file
from seqvae.errors import InputError

Means = NDArray[np.float32]
MeansAndModel = tuple[Means, str | None]  # and the fingerprint of their model, where it is known
MODEL = "model"  # the name of its fingerprint in a table
REMEDY = "give what seqvae encode wrote, or an array of shape (N, Z)"
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


@np.errstate(over="ignore")  # too large a number is infinite, and refused
def read_means(file: Path, latent_dim: int, model: str | None = None) -> Float32[np.ndarray, "N Z"]:
    """The means of a table of codes, or the only array of a file of NumPy's.

    `model` is the fingerprint of the model that is to decode them; None takes those of any.

    Raises:
        InputError: there is no such file, it is damaged or of another kind, or its codes are of
            another model.
    """
    readers = {".npz": _means_of_arrays, ".npy": _means_of_array}
    readers |= {".csv": _means_of_csv, ".parquet": _means_of_parquet}
    if not file.is_file():
        raise InputError(f"{file}: no such file; {REMEDY}")
    if file.suffix.lower() not in readers:
        raise InputError(f"{file}: it must end in {', '.join(readers)}")
    with door(file, REMEDY, zipfile.BadZipFile, csv.Error):
        means, made_by = readers[file.suffix.lower()](file)
    if means.ndim != 2 or means.shape[1] != latent_dim or not len(means):
        raise InputError(
            f"{file}: codes of shape {means.shape}; this model takes (N, {latent_dim})"
        )
    if None not in (made_by, model) and made_by != model:
        raise InputError(
            f"{file}: codes of another model, or of this one before its weights changed; encode "
            "the inputs again with this one, or give the means alone (.npy)"
        )
    if not (finite := np.isfinite(means).all(1)).all():
        row = int(np.flatnonzero(~finite)[0])
        raise InputError(f"{file}: row {row}, counted from 0, holds a number that is not finite")
    return means


def _means_of_arrays(file: Path) -> MeansAndModel:
    with np.load(file, allow_pickle=False) as arrays:
        names = list(arrays)
        if "means" not in names and len(names) != 1:
            raise KeyError("means")
        means = _real(arrays["means" if "means" in names else names[0]])
        return means, str(arrays[MODEL]) if MODEL in names else None


def _means_of_array(file: Path) -> MeansAndModel:
    return _real(np.load(file, allow_pickle=False)), None


def _real(array: NDArray[Any]) -> Means:
    """An array of numbers; complex ones and text are refused."""
    return array.astype(np.float32, casting="same_kind")


def _means_of_csv(file: Path) -> MeansAndModel:
    with file.open(encoding="utf-8", newline="") as stream:
        rows = csv.reader(stream)
        columns = _mean_columns(next(rows, []))
        parts = [np.empty((0, len(columns)), np.float32)]
        some: list[list[str]] = []
        for row in rows:
            if len(row) <= max(columns):
                raise ValueError(f"line {rows.line_num} ends before its means do")
            some.append([row[column] for column in columns])
            if len(some) == ROWS_TOGETHER:
                parts.append(np.array(some, np.float32))
                some = []
        rest = np.array(some, np.float32).reshape(-1, len(columns))
        return np.concatenate([*parts, rest]), None


def _means_of_parquet(file: Path) -> MeansAndModel:
    pyarrow, parquet = _parquet()
    try:
        table = parquet.read_table(file)
        names = table.column_names
        columns = [table.column(names[i]).to_numpy() for i in _mean_columns(names)]
    except pyarrow.ArrowException as error:
        raise ValueError(str(error)) from error
    model = (table.schema.metadata or {}).get(MODEL.encode())
    return np.stack(columns, axis=1).astype(np.float32), model and model.decode()


def _mean_columns(names: list[str]) -> list[int]:
    """The columns `mean_0`, `mean_1` and so on, in this order."""
    count = sum(name.startswith("mean_") for name in names)
    if not count:
        raise KeyError("mean_0")
    try:
        return [names.index(f"mean_{number}") for number in range(count)]
    except ValueError as error:
        raise KeyError(f"mean_0 to mean_{count - 1}") from error
