"""The rule that given shapes are those of a model's inputs."""

from collections.abc import Iterable, Sequence

from lctrain.errors import UserError, suggest


def check_input_names(given: Iterable[object], names: Sequence[str]) -> None:
    """Refuses a shape that is given for no input of the model.

    Args:
        given: the names for which there are shapes.
        names: of the model's inputs.

    Raises:
        UserError: names the first that is of no input, and the nearest one that is.
    """
    for name in given:
        if name not in names:
            raise UserError(f"`input_shape` must name inputs of the model; got {name!r}. {suggest(str(name), names)}")
