"""The header of a table: what its columns are called, and how its cells are separated."""

import csv
import gzip
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from lctrain.config.schema import TableConfig
from lctrain.data.checks import refuse
from lctrain.errors import ConfigError, Problem

# What pandas calls an index that it reads from CSV or writes to Parquet.
INDEX = re.compile(r"Unnamed: 0(\.\d+)*|__index_level_\d+__")

# The errors of pandas and pyarrow are among them.
UNREADABLE = (OSError, EOFError, ValueError, RuntimeError, zlib.error)
SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}
BY_ENDING = {".csv": "comma", ".tsv": "tab"}
PARQUET = ".parquet"
DECIMALS = {"point": ".", "comma": ","}


@dataclass(frozen=True)
class TableFile:
    """A table in a file, known by its header.

    Args:
        path: of the file.
        columns: the names of all columns; one without a name is called `Unnamed: 0`, by its number from 0.
        unnamed: those of them that have no name in the file.
        separator: between two cells; None for Parquet.
        decimal: between the whole part of a number and its fraction.
        has_row_names: whether each row has a cell more than the header, in front, as R's write.table leaves it.
    """

    path: Path
    columns: tuple[str, ...]
    unnamed: tuple[str, ...]
    separator: str | None = None
    decimal: str = "."
    has_row_names: bool = False

    @property
    def index_columns(self) -> list[str]:
        """The columns that only number or name the rows, by what they are called."""
        first = self.columns[:1] if self.columns[0] in self.unnamed else ()
        return [name for name in self.columns if name in first or INDEX.fullmatch(name)]


def open_table(data: TableConfig) -> TableFile:
    """A table, by its header.

    Raises:
        ConfigError: the file is missing, truncated or no table; its header has no names, one of them twice, or another
            separator.
    """
    path = Path(data.path).expanduser()
    if path.suffix == PARQUET:
        return _open_parquet(data, path)
    if not is_table(path):
        expected = "must be a table: .csv, .tsv, .csv.gz, .tsv.gz or .parquet"
        raise ConfigError([Problem("data.path", f"{expected}; got {str(path)!r}.")])
    try:
        separator = _choose_separator(data, path)
        header = _read_header(path, separator)
    except UNREADABLE as error:
        refuse_unreadable(path, error)
    _check_header(header, data, path)
    columns, unnamed = _name_columns(header)
    has_row_names = _has_row_names(path, separator, len(header))
    if has_row_names:
        columns, unnamed = _name_columns(["", *header])
    _check_unique(columns, path)
    return TableFile(path, columns, unnamed, separator, DECIMALS[data.decimal], has_row_names)


def is_table(path: Path) -> bool:
    """Whether it is called as tables are."""
    return path.suffix == PARQUET or find_ending(path) in BY_ENDING


def find_ending(path: Path) -> str:
    """The ending that says what kind of table it is.

    >>> find_ending(Path("my.csv.gz"))
    '.csv'
    """
    return Path(path.stem).suffix if path.suffix == ".gz" else path.suffix


def name_separators(table: TableFile) -> tuple[str | None, str | None]:
    """What separates the cells of a file of its ending, and what does in the table; None for Parquet."""
    names = {sign: name for name, sign in SEPARATORS.items()}
    return BY_ENDING.get(find_ending(table.path)), None if table.separator is None else names[table.separator]


def read_lines(path: Path, separator: str) -> Iterator[tuple[int, list[str]]]:
    """The number of its last line, from 1, and the cells of each row that is not blank, the header first."""
    open_file = gzip.open if path.suffix == ".gz" else open
    with open_file(path, "rt", encoding="utf-8-sig", newline="") as file:
        lines = csv.reader(file, delimiter=separator)
        for cells in lines:
            if cells:
                yield lines.line_num, cells


def refuse_unreadable(path: Path, error: Exception) -> NoReturn:
    """Raises what a reader says of a file that is no table."""
    if isinstance(error, FileNotFoundError):
        refuse("data.path", path, "there is no such file.")
    if isinstance(error, OSError) and error.strerror:
        refuse("data.path", path, f"can't be read: {error.strerror}.")
    reason = str(error).strip().splitlines()
    what = "is empty, truncated" if isinstance(error, ValueError) else "is truncated"
    refuse("data.path", path, f"{what}, or no table: {reason[0] if reason else type(error).__name__}")


def is_number(cell: str) -> bool:
    """
    >>> is_number("5.1"), is_number("1,5"), is_number("x5")
    (True, True, False)
    """
    try:
        float(cell.replace(",", "."))
    except ValueError:
        return False
    return True


def _open_parquet(data: TableConfig, path: Path) -> TableFile:
    from pyarrow.parquet import read_schema

    given = [key for key, default in (("separator", None), ("decimal", "point")) if getattr(data, key) != default]
    for key in given:
        message = f"is for CSV files: Parquet has cells of its own; got {getattr(data, key)!r}."
        raise ConfigError([Problem(f"data.{key}", message)])
    try:
        names = tuple(read_schema(path).names)
    except UNREADABLE as error:
        refuse_unreadable(path, error)
    _check_unique(names, path)
    return TableFile(path, names, tuple(name for name in names if not name.strip()))


def _read_header(path: Path, separator: str) -> list[str]:
    try:
        _, header = next(read_lines(path, separator), (0, []))
    except csv.Error as error:
        raise ValueError(str(error)) from error
    if not header:
        raise ValueError("it has no line of names")
    return header


def _choose_separator(data: TableConfig, path: Path) -> str:
    """What is stated, or by the ending, or else the only other sign that cuts the header."""
    used = data.separator or BY_ENDING[find_ending(path)]
    if len(_read_header(path, SEPARATORS[used])) > 1:
        return SEPARATORS[used]
    counts = {name: len(_read_header(path, sign)) for name, sign in SEPARATORS.items()}
    others = [name for name in counts if counts[name] > 1]
    if not others:
        return SEPARATORS[used]
    if data.separator is None and len(others) == 1:
        return SEPARATORS[others[0]]
    likely = max(others, key=lambda name: counts[name])
    fix = f"Say what separates its cells: data.separator={likely}"
    fix += ", and data.decimal=comma where numbers are written as 1,5." if likely == "semicolon" else "."
    return refuse("data.path", path, f"has one column by the separator {used}, and {counts[likely]} by {likely}. {fix}")


def _check_header(header: Sequence[str], data: TableConfig, path: Path) -> None:
    """Refuses a first row that holds numbers alone."""
    is_decided = data.features is not None or data.exclude == []
    if not is_decided and all(map(is_number, header)) and not _counts(header):
        fix = "Put a line of names above it; if these are the names, name the features: data.features=[...]"
        refuse("data.path", path, f"has no names: its first line holds numbers alone, {header[:3]}. {fix}.")


def _counts(header: Sequence[str]) -> bool:
    """Whether they are the names that arrays get: 0, 1, 2, ..., or from 1 on."""
    return any(list(header) == [str(number + first) for number in range(len(header))] for first in (0, 1))


def _name_columns(header: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of all columns, and of those without one what they are called instead."""
    names, unnamed = list(header), []
    for i, name in enumerate(header):
        if name.strip():
            continue
        names[i] = called = f"Unnamed: {i}"
        number = 0
        while names.count(names[i]) > 1:
            number += 1
            names[i] = f"{called}.{number}"
        unnamed.append(names[i])
    return tuple(names), tuple(unnamed)


def _has_row_names(path: Path, separator: str, num_names: int) -> bool:
    """Whether each row has one cell more than the header, in front, which R's write.table leaves without a name.

    Raises:
        ConfigError: there are cells more than names, and the first ones don't number the rows.
    """
    numbers = []
    try:
        for number, (_, cells) in enumerate(read_lines(path, separator)):
            if number and len(cells) != num_names + 1:
                # The reader tells what is wrong there.
                return False
            if number:
                numbers.append(cells[0])
    except (*UNREADABLE, csv.Error):
        return False
    if not numbers:
        return False
    if sorted(numbers) == sorted(str(number + 1) for number in range(len(numbers))):
        return True
    fix = "Give each column a name; from R write it by write.csv, or by write.table with col.names=NA."
    message = "has rows with more cells than its first line, the names of the columns, has"
    return refuse("data.path", path, f"{message}: {num_names + 1} and {num_names}. {fix}")


def _check_unique(names: Sequence[str], path: Path) -> None:
    doubled = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if doubled:
        refuse("data.path", path, f"has several columns called {doubled[0]!r}. Give each a name of its own.")
