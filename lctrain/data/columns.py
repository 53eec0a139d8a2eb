"""Which columns of a table are features, and which only number its rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lctrain.config.schema import TableConfig
from lctrain.data.checks import MissingLabels, refuse
from lctrain.data.headers import TableFile
from lctrain.errors import ConfigError, Problem, suggest, suggest_near

if TYPE_CHECKING:
    import pandas

# Rows from which on consecutive numbers are no accident.
MIN_COUNTED = 3

# Features that a message writes out.
MAX_LISTED = 20

# Columns that a table has not, in one sentence.
MAX_MISSING = 4


@dataclass(frozen=True)
class Columns:
    """The columns that are used, all of which the table has, and those that are left out unasked."""

    targets: list[str]
    features: list[str]
    one_hot: list[str]
    split: str | None
    left_out: list[str]

    @property
    def read(self) -> list[str]:
        return list(dict.fromkeys([*self.features, *self.targets, *([self.split] if self.split else [])]))


def has_all_columns(data: TableConfig) -> bool:
    """Whether the configuration says that every column is a feature, whatever it is called and holds."""
    return data.exclude == []


def find_columns(data: TableConfig, table: TableFile) -> Columns:
    """The columns that the configuration names, where the table has them.

    Raises:
        ConfigError: names each column that there is not, or that is used twice.
    """
    known = table.columns
    targets = [data.target] if isinstance(data.target, str) else data.target
    split = [] if data.split_column is None else [data.split_column]
    features, left_out = data.features, []
    if features is None:
        features = [name for name in known if name not in (*targets, *split, *(data.exclude or ()))]
        if not has_all_columns(data):
            left_out = [name for name in features if name in table.index_columns and name not in data.one_hot]
            features = [name for name in features if name not in left_out]
    groups = {"target": targets, "features": features, "one_hot": data.one_hot, "split_column": split}
    groups |= {"exclude": data.exclude or []}
    problems, named = [], set(known)
    for key, names in groups.items():
        missing = [name for name in names if name not in named]
        named |= {*missing}
        if missing:
            what = f"must be {'a column' if len(missing) == 1 else 'columns'} of {data.path!r}"
            problems.append(Problem(f"data.{key}", f"{what}; got {_format_missing(missing, known)}"))
    if [problem.path for problem in problems] == ["data.target"]:
        raise MissingLabels(problems)
    if not problems:
        problems = _find_problems_in_roles(data, targets, features)
    if not problems and data.features is None and not has_all_columns(data):
        problems = _find_problems_in_names(features, targets, table)
    if problems:
        raise ConfigError(problems)
    return Columns(targets, features, data.one_hot, data.split_column, left_out)


def find_features(data: TableConfig, table: TableFile) -> Columns:
    """The columns of a trained model's features in another table, whatever else that has.

    Raises:
        ConfigError: names each column that there is not.
    """
    features = data.features or []
    missing = [name for name in features if name not in table.columns]
    if missing:
        which = f"column{'s' * (len(missing) > 1)} that the model reads: {_format_missing(missing, table.columns)}"
        refuse("data.path", table.path, f"has not the {which}")
    return Columns([], features, data.one_hot, None, [])


def _format_missing(missing: Sequence[str], known: Sequence[str]) -> str:
    """Columns that a table has not, each with the nearest that it has.

    >>> _format_missing(["width"], ["Width"])
    "'width'. Did you mean `Width`?"
    >>> _format_missing(["width", "age"], ["Width", "sex"])
    "'width' (`Width`?), 'age'."
    """
    if len(missing) == 1:
        return f"{missing[0]!r}. {suggest(missing[0], known)}"
    nearest = [suggest_near(name, known).removeprefix(" Did you mean ") for name in missing[:MAX_MISSING]]
    listed = [f"{name!r}{near and f' ({near})'}" for name, near in zip(missing, nearest, strict=False)]
    more = f" and {len(missing) - MAX_MISSING} more" if len(missing) > MAX_MISSING else ""
    return f"{', '.join(listed)}{more}."


def check_counting(frame: "pandas.DataFrame", columns: Columns, data: TableConfig, table: TableFile) -> None:
    """Refuses features that only count the rows, unless the configuration says which the features are.

    In the order of the rows they tell the label of sorted rows; shuffled they are the numbers of the rows before that.

    Raises:
        ConfigError: names the column, and what to write to leave it out and to keep it.
    """
    if data.features is not None or has_all_columns(data):
        return
    counting = [name for name in columns.features if name not in columns.one_hot and _has_row_numbers(frame[name])]
    if not counting:
        return
    message, is_one = ", ".join(f"`{name}`" for name in counting), len(counting) == 1
    what, them = ("only counts its rows", "it") if is_one else ("only count its rows", "them")
    others = [name for name in columns.features if name not in counting]
    out = f"data.exclude=[{','.join([*(data.exclude or ()), *counting])}]"
    kept = "data.features=[...], with all of them" if data.exclude else "data.exclude=[]"
    if len(columns.features) <= MAX_LISTED:
        out += f" or data.features=[{','.join(others)}]" if others else ""
        listed = f"data.features=[{','.join(columns.features)}]"
        kept = listed if data.exclude else f"{kept} or {listed}"
    fix = f"To leave {them} out: {out}. To keep {them}, as a time axis: {kept}."
    raise ConfigError([Problem("data.features", f"must be given, as {message} of {str(table.path)!r} {what}. {fix}")])


def _has_row_numbers(column: "pandas.Series") -> bool:
    """Whether its whole numbers, in some order, are one for each row without a gap, from 0 or above."""
    import pandas

    if len(column) < MIN_COUNTED or not pandas.api.types.is_numeric_dtype(column.dtype) or column.isna().any():
        return False
    values = column.to_numpy(dtype=np.float64)
    first = values.min()
    if first % 1 != 0:
        return False
    return first >= 0 and bool((np.sort(values) == np.arange(len(values)) + first).all())


def _find_problems_in_names(features: Sequence[str], targets: Sequence[str], table: TableFile) -> list[Problem]:
    """Columns without a name that are not the first."""
    return [
        Problem(
            "data.path",
            f"{str(table.path)!r}: column {table.columns.index(name) + 1} has no name. Give it one, or leave it out: "
            f"data.exclude=['{name}'].",
        )
        for name in features
        if name in table.unnamed and name not in targets
    ]


def _find_problems_in_roles(data: TableConfig, targets: Sequence[str], features: Sequence[str]) -> list[Problem]:
    """Columns whose parts do not go together."""
    problems = []
    # A forecast may read the target's own past.
    is_forecast = data.window is not None and data.window.horizon > 0
    for name in () if is_forecast else sorted(set(targets) & set(features)):
        problems.append(
            Problem("data.features", f"must not hold the target, from which it would be read; got {name!r}.")
        )
    for name in sorted({*(data.exclude or ())} & {*targets, *(data.features or ()), *data.one_hot}):
        problems.append(Problem("data.exclude", f"must name columns that are not used elsewhere; got {name!r}."))
    if data.split_column is not None and data.split_column in (*targets, *features):
        message = f"must be neither target nor feature; got {data.split_column!r}."
        problems.append(Problem("data.split_column", message))
    for name in data.one_hot:
        if name not in features:
            problems.append(Problem("data.one_hot", f"must name columns of `data.features`; got {name!r}."))
    for name, names in data.categories.items():
        if name not in (*data.one_hot, *(targets if data.task in ("classification", "binary") else ())):
            expected = "must be by columns of `data.one_hot`, or by the target where it is a class"
            problems.append(Problem("data.categories", f"{expected}; got {name!r}."))
        doubled = [one for one in dict.fromkeys(names) if names.count(one) > 1]
        if doubled:
            problems.append(Problem(f"data.categories.{name}", f"must name each once; got {doubled[0]!r} twice."))
    if not features:
        problems.append(Problem("data.features", f"must not be empty: {data.path!r} has no column besides the target."))
    if data.task in ("classification", "binary") and len(targets) > 1:
        expected = f"must be one column with task {data.task}"
        problems.append(Problem("data.target", f"{expected}; got {targets}. Several are for multilabel or regression."))
    if data.task == "multilabel" and len(targets) == 1:
        expected = "must be a column of 0 and 1 for each class, with task multilabel"
        problems.append(Problem("data.target", f"{expected}; got {targets}. For one label: data.task=binary."))
    return problems
