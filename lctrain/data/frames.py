"""Reading tables: their columns, and where in the file a cell is."""

import csv
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from lctrain.data.checks import refuse
from lctrain.data.headers import UNREADABLE, TableFile, is_number, read_lines, refuse_unreadable

if TYPE_CHECKING:
    import pandas

# In one sentence.
MAX_CATEGORIES = 8


def read_frame(table: TableFile, columns: Sequence[str]) -> "pandas.DataFrame":
    """Some columns of a table.

    Raises:
        ConfigError: the file is truncated, empty, or no table.
    """
    import pandas

    try:
        frame = _read_parquet(table, columns) if table.separator is None else _read_csv(table, columns)
    except UNREADABLE as error:
        refuse_unreadable(table.path, error)
    except pandas.errors.ParserWarning:
        refuse("data.path", table.path, "has rows with more cells than its first line, the names of the columns, has.")
    if not len(frame):
        refuse("data.path", table.path, "has no rows. Each is to be an example.")
    return frame.reset_index(drop=True)


def read_numbers(column: "pandas.Series", table: TableFile) -> np.ndarray:
    """A column as float64 numbers; a missing one is NaN.

    Raises:
        ConfigError: names the line and column of the first cell that is no number.
    """
    import pandas

    if pandas.api.types.is_bool_dtype(column.dtype):
        return _as_floats(column)
    if pandas.api.types.is_numeric_dtype(column.dtype) and column.dtype.kind != "c":
        return _as_floats(column)
    numbers = pandas.to_numeric(_with_points(column, table), errors="coerce") if is_text(column) else None
    if numbers is None:
        refuse("data.path", table.path, f"column {column.name!r} must be numbers; got the type {column.dtype}.")
    wrong = np.flatnonzero(numbers.isna().to_numpy() & column.notna().to_numpy())
    if wrong.size:
        others = f" ({wrong.size:,} such cells in all)" if wrong.size > 1 else ""
        where, got = format_line(table, wrong[0]), column.iloc[wrong[0]]
        fix = "Mend it; or, in training, leave the column out (data.exclude) or name it in `data.one_hot`."
        if table.decimal == "." and "," in str(got) and is_number(str(got)):
            fix = "Mend it, or say that its numbers have decimal commas: data.decimal=comma."
        message = f"must be numbers; {where} has {str(got)!r}{others}. {fix}"
        refuse("data.path", table.path, f"column {column.name!r} {message}")
    return _as_floats(numbers)


def _as_floats(column: "pandas.Series") -> np.ndarray:
    values: np.ndarray = column.to_numpy(dtype=np.float64, na_value=np.nan)
    return values


def read_names(
    column: "pandas.Series", table: TableFile, categories: Mapping[str, list[str]]
) -> tuple[np.ndarray, list[str]]:
    """A column of names as their numbers, and the names in that order: the one of `categories`, or of the alphabet.

    Raises:
        ConfigError: names the line of the first cell without a name, or with one that the column's categories lack.
    """
    missing = np.flatnonzero(column.isna().to_numpy())
    if missing.size:
        message = (
            f"must have a value in each row; {format_line(table, missing[0])} has none. Fill it in, or leave it out."
        )
        refuse("data.path", table.path, f"column {column.name!r} {message}")
    found, numbers = np.unique(column.astype(str).to_numpy(dtype=object), return_inverse=True)
    names = [str(name) for name in found]
    known = categories.get(str(column.name))
    if known is None:
        return numbers, names
    strange = [number for number, name in enumerate(names) if name not in known]
    if strange:
        where = format_line(table, int(np.flatnonzero(numbers == strange[0])[0]))
        more = f" and {len(known) - MAX_CATEGORIES} more" if len(known) > MAX_CATEGORIES else ""
        fix = "Mend it, or train with it in `data.categories`."
        message = f"must be one of {known[:MAX_CATEGORIES]}{more}; {where} has {names[strange[0]]!r}. {fix}"
        refuse("data.path", table.path, f"column {column.name!r} {message}")
    return np.array([known.index(name) for name in names])[numbers], list(known)


def is_text(column: "pandas.Series") -> bool:
    """Whether a column holds texts, or what pandas found no other type for."""
    import pandas

    is_category = isinstance(column.dtype, pandas.CategoricalDtype)
    return is_category or pandas.api.types.is_string_dtype(column.dtype) or column.dtype == object


def format_line(table: TableFile, row: int) -> str:
    """Where in its file a row is: its line, from 1, as editors count; its number, from 0, where there are no lines."""
    if table.separator is not None:
        with suppress(csv.Error):
            for number, (line, _) in enumerate(read_lines(table.path, table.separator)):
                # The header is before the first row.
                if number == row + 1:
                    return f"line {line}"
    return f"row {row}"


def _with_points(column: "pandas.Series", table: TableFile) -> "pandas.Series":
    """Texts with a decimal point for a decimal comma; then a point is none, and its cell no number."""
    if table.decimal == ".":
        return column
    return column.where(~column.astype(str).str.contains(".", regex=False), "").str.replace(",", ".", regex=False)


def _read_csv(table: TableFile, columns: Sequence[str]) -> "pandas.DataFrame":
    """Some columns of a CSV file, of which all are read: pandas passes over surplus cells where it leaves some out."""
    import pandas

    names = list(table.columns)
    with warnings.catch_warnings():
        warnings.simplefilter("error", pandas.errors.ParserWarning)
        options = {"sep": table.separator, "decimal": table.decimal, "low_memory": False, "index_col": False}
        frame = pandas.read_csv(table.path, header=0, names=names, encoding="utf-8-sig", **options)
    return frame[list(columns)]


def _read_parquet(table: TableFile, columns: Sequence[str]) -> "pandas.DataFrame":
    """Columns as columns, those too that pandas would make the index."""
    from pyarrow.parquet import read_table

    return read_table(table.path, columns=list(columns), partitioning=None).to_pandas(ignore_metadata=True)
