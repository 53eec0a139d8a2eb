"""Which rows are trained, validated and tested on: fixed by a seed, stratified by class."""

import numpy as np

from lctrain.config.schema import DataConfig
from lctrain.data.checks import require
from lctrain.errors import ConfigError, Problem
from lctrain.system.loading import loading


def load_splitting_code() -> None:
    """Loads what drawing splits takes: its memory is not the data's."""
    with loading():
        import sklearn.model_selection  # noqa: F401


def find_problems_in_splits(data: DataConfig, own: tuple[str, ...]) -> list[Problem]:
    """What the configuration says of splits that the data set has of its own, or does not say of those it lacks.

    Args:
        data: the configuration.
        own: the splits other than `train` that the data set has.
    """
    problems = []
    for part in ("validation", "test"):
        key, fraction = f"data.{part}_fraction", getattr(data, f"{part}_fraction")
        if part == "validation" and data.folds is not None:
            if part in own:
                expected = f"must be null: `{data.name}` has a validation split of its own"
                problems.append(Problem("data.folds", f"{expected}; got {data.folds}."))
            continue
        if part in own and fraction is not None:
            expected = f"must be null: `{data.name}` has a {part} split of its own"
            problems.append(Problem(key, f"{expected}; got {fraction}. Leave it out."))
        if part not in own and fraction is None:
            expected = f"must be a part of the examples, such as 0.15: `{data.name}` has no {part} split of its own"
            problems.append(Problem(key, f"{expected}; got null."))
    fractions = [None if data.folds is not None else data.validation_fraction, data.test_fraction]
    stated = [fraction for fraction in fractions if fraction is not None]
    if len(stated) == 2 and sum(stated) >= 1:
        expected = "and `data.test_fraction` must leave something to train on"
        got = f"{data.validation_fraction} + {data.test_fraction}"
        problems.append(Problem("data.validation_fraction", f"{expected}; got {got}."))
    if data.folds is not None and data.fold >= data.folds:
        expected = f"must be one of the {data.folds} of `data.folds`, from 0 to {data.folds - 1}"
        problems.append(Problem("data.fold", f"{expected}; got {data.fold}."))
    return problems


def draw_splits(labels: np.ndarray, own: tuple[str, ...], data: DataConfig) -> dict[str, np.ndarray]:
    """Which of the rows that are not in a split already are trained on, and which are in the splits that are missing.

    Args:
        labels: of those rows, as a `Split` has them.
        own: the splits that there are already.
        data: with fractions, folds and seed.

    Returns:
        By the name of the split, row numbers in random order; in their own where nothing was drawn.

    Raises:
        ConfigError: there are too few rows for the splits or folds.
    """
    classes = labels.reshape(len(labels)) if is_stratified(data) else None
    drawn = {"train": np.arange(len(labels))}
    share = 1.0
    if "test" not in own:
        test_fraction = require(data.test_fraction, "data.test_fraction")
        drawn["train"], drawn["test"] = _draw(drawn["train"], test_fraction, classes, data)
        share -= test_fraction
    elif data.folds is not None or data.train_limit is not None:
        drawn["train"] = np.random.default_rng(data.split_seed).permutation(drawn["train"])
    if "validation" not in own:
        if data.folds is not None:
            drawn["train"], drawn["validation"] = _fold(drawn["train"], data.folds, classes, data)
        else:
            fraction = require(data.validation_fraction, "data.validation_fraction") / share
            drawn["train"], drawn["validation"] = _draw(drawn["train"], fraction, classes, data)
    drawn["train"] = _limit(drawn["train"], classes, data.train_limit)
    return drawn


def is_stratified(data: DataConfig) -> bool:
    """Whether each split gets the same shares of the classes."""
    return data.stratify and data.task in ("classification", "binary") and not data.target_shape


def _draw(
    rows: np.ndarray, fraction: float, classes: np.ndarray | None, data: DataConfig
) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.model_selection import train_test_split

    stratify = None if classes is None else classes[rows]
    try:
        train, drawn = train_test_split(rows, test_size=fraction, random_state=data.split_seed, stratify=stratify)
    except ValueError as error:
        wanted = "an example" if classes is None else "every class"
        fix = "Take more examples, larger fractions, or data.stratify=false."
        message = f"can't be split so that every split holds {wanted}: {str(error).rstrip('.')}. {fix}"
        raise ConfigError([Problem("data", message)]) from None
    return train, drawn


def _fold(
    rows: np.ndarray, num_folds: int, classes: np.ndarray | None, data: DataConfig
) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.model_selection import KFold, StratifiedKFold

    least = len(rows) if classes is None else int(np.unique(classes[rows], return_counts=True)[1].min())
    if num_folds > least:
        what = "examples that there are" if classes is None else "examples of the smallest class"
        fix = "" if classes is None else " Or set data.stratify=false."
        raise ConfigError([Problem("data.folds", f"must be at most {least}, the {what}; got {num_folds}.{fix}")])
    kind = KFold if classes is None else StratifiedKFold
    folds = kind(num_folds, shuffle=True, random_state=data.split_seed)
    train, validation = list(folds.split(rows, None if classes is None else classes[rows]))[data.fold]
    return rows[train], rows[validation]


def _limit(rows: np.ndarray, classes: np.ndarray | None, limit: int | None) -> np.ndarray:
    """The first rows, or the first of each class by its share, in their order."""
    if limit is None or limit >= len(rows):
        return rows
    if classes is None:
        return rows[:limit]
    _, numbers, counts = np.unique(classes[rows], return_inverse=True, return_counts=True)
    shares = counts * (limit / len(rows))
    quotas = np.floor(shares).astype(int)
    # What is left goes to the largest remainders.
    quotas[np.argsort(quotas - shares, kind="stable")[: limit - quotas.sum()]] += 1
    chosen = [np.flatnonzero(numbers == number)[:quota] for number, quota in enumerate(quotas)]
    return rows[np.sort(np.concatenate(chosen))]
