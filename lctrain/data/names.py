"""What the classes and the numbers that a model gives are called."""

from lctrain.config.schema import DataConfig, ImagesConfig, TableConfig


def find_class_names(data: DataConfig) -> list[str] | None:
    """The classes of an example in the order of their numbers; None where they have no names."""
    if isinstance(data, ImagesConfig):
        return data.class_names
    if isinstance(data, TableConfig) and isinstance(data.target, str):
        return data.categories.get(data.target)
    return None


def find_output_names(data: DataConfig) -> list[str] | None:
    """What each number is of that a model gives for an example: a class, or a column; None where that has no name."""
    if data.task == "classification":
        return find_class_names(data)
    if data.task == "binary":
        names = find_class_names(data)
        return None if names is None else names[1:]
    if not isinstance(data, TableConfig):
        return None
    return [data.target] if isinstance(data.target, str) else data.target
