"""Reading tables: their columns, and where in the file a cell is."""

import csv
import gzip
import re
import warnings
import zlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lctrain.data.checks import refuse
from lctrain.errors import ConfigError, Problem

if TYPE_CHECKING:
    import pandas

INDEX = re.compile(r"__index_level_\d+__")  # in Parquet files that pandas wrote
UNREADABLE = (OSError, EOFError, ValueError, RuntimeError, zlib.error)  # pandas' and pyarrow's own are among them
SEPARATORS = {".csv": ",", ".tsv": "\t"}


def read_frame(path: Path, columns: Sequence[str] | None = None) -> "pandas.DataFrame":
    """The columns of a table, or with None all of them.

    Raises:
        ConfigError: the file is missing, truncated, empty, or no table.
    """
    return _read(path, columns, None)


def read_columns(path: Path) -> list[str]:
    """The names of a table's columns."""
    if path.suffix != ".parquet":
        return [str(name) for name in _read(path, None, 0).columns]
    from pyarrow.parquet import read_schema

    try:
        return [name for name in read_schema(path).names if not INDEX.fullmatch(name)]
    except UNREADABLE as error:
        return _refuse_unreadable(path, error)


def read_numbers(column: "pandas.Series", path: Path) -> np.ndarray:
    """A column as float64 numbers; a missing one is NaN.

    Raises:
        ConfigError: names the line and column of the first cell that is no number.
    """
    import pandas

    if pandas.api.types.is_bool_dtype(column.dtype):
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    if pandas.api.types.is_numeric_dtype(column.dtype) and column.dtype.kind != "c":
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    numbers = pandas.to_numeric(column, errors="coerce") if is_text(column) else None
    if numbers is None:
        refuse("data.path", path, f"column {column.name!r} must be numbers; got the type {column.dtype}.")
    wrong = np.flatnonzero(numbers.isna().to_numpy() & column.notna().to_numpy())
    if wrong.size:
        others = f" ({wrong.size:,} such cells in all)" if wrong.size > 1 else ""
        where, got = tell_line(path, wrong[0]), column.iloc[wrong[0]]
        fix = "Mend it, leave the column out, or name it in `data.one_hot`."
        told = f"must be numbers; {where} has {str(got)!r}{others}. {fix}"
        refuse("data.path", path, f"column {column.name!r} {told}")
    return numbers.to_numpy(dtype=np.float64, na_value=np.nan)


def read_names(column: "pandas.Series", path: Path) -> tuple[np.ndarray, list[str]]:
    """A column of names as their numbers, and the names in alphabetical order.

    Raises:
        ConfigError: names the line of the first cell without a name.
    """
    missing = np.flatnonzero(column.isna().to_numpy())
    if missing.size:
        told = f"must have a value in each row; {tell_line(path, missing[0])} has none. Fill it in, or leave it out."
        refuse("data.path", path, f"column {column.name!r} {told}")
    names, numbers = np.unique(column.astype(str).to_numpy(dtype=object), return_inverse=True)
    return numbers, [str(name) for name in names]


def is_text(column: "pandas.Series") -> bool:
    """Whether a column holds texts, or what pandas found no other type for."""
    import pandas

    is_category = isinstance(column.dtype, pandas.CategoricalDtype)
    return is_category or pandas.api.types.is_string_dtype(column.dtype) or column.dtype == object


def tell_line(path: Path, row: int) -> str:
    """Where in its file a row is: its line, from 1, as editors count; its number, from 0, where there are no lines."""
    if path.suffix == ".parquet":
        return f"row {row}"
    open_file = gzip.open if path.suffix == ".gz" else open
    with open_file(path, "rt", encoding="utf-8-sig", newline="") as file, suppress(csv.Error):
        lines = csv.reader(file, delimiter=SEPARATORS[_kind(path)])
        seen = -1  # the header
        for cells in lines:
            if cells and seen == row:
                return f"line {lines.line_num}"
            seen += bool(cells)
    return f"row {row}"


def _kind(path: Path) -> str:
    return Path(path.stem).suffix if path.suffix == ".gz" else path.suffix


def _read(path: Path, columns: Sequence[str] | None, num_rows: int | None) -> "pandas.DataFrame":
    import pandas

    kind = _kind(path)
    if kind not in SEPARATORS and path.suffix != ".parquet":
        expected = "must be a table: .csv, .tsv, .csv.gz, .tsv.gz or .parquet"
        raise ConfigError([Problem("data.path", f"{expected}; got {str(path)!r}.")])
    try:
        if path.suffix == ".parquet":
            frame = _read_parquet(path, columns)
        else:
            frame = _read_csv(path, SEPARATORS[kind], columns, num_rows)
    except UNREADABLE as error:
        _refuse_unreadable(path, error)
    except pandas.errors.ParserWarning:
        refuse("data.path", path, "has rows with more cells than its first line, the names of the columns, has.")
    if num_rows is None and not len(frame):
        refuse("data.path", path, "has no rows. Each is to be an example.")
    return frame.reset_index(drop=True)


def _read_csv(path: Path, separator: str, columns: Sequence[str] | None, num_rows: int | None) -> "pandas.DataFrame":
    """Some columns of a CSV file, of which all are read: pandas passes over surplus cells where it leaves some out."""
    import pandas

    open_file = gzip.open if path.suffix == ".gz" else open
    with open_file(path, "rt", encoding="utf-8-sig", newline="") as file:
        names = next(csv.reader(file, delimiter=separator), [])
    doubled = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if doubled:
        refuse("data.path", path, f"has several columns called {doubled[0]!r}. Give each a name of its own.")
    with warnings.catch_warnings():
        warnings.simplefilter("error", pandas.errors.ParserWarning)
        frame = pandas.read_csv(path, sep=separator, nrows=num_rows, low_memory=False, index_col=False)
    return frame if columns is None else frame[list(columns)]


def _read_parquet(path: Path, columns: Sequence[str] | None) -> "pandas.DataFrame":
    """All columns as columns, those too that pandas would make the index."""
    from pyarrow.parquet import read_table

    return read_table(path, columns=columns, partitioning=None).to_pandas(ignore_metadata=True)


def _refuse_unreadable(path: Path, error: Exception):
    if isinstance(error, FileNotFoundError):
        refuse("data.path", path, "there is no such file.")
    reason = str(error).strip().splitlines()
    what = "is empty, truncated" if isinstance(error, ValueError) else "is truncated"
    refuse("data.path", path, f"{what}, or no table: {reason[0] if reason else type(error).__name__}")
