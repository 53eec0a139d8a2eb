"""The implementations of locally connected layers: ONE table, from which all that depends on them is derived.

A new implementation is a new file in `lctrain/ops/` and a new row here.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

BACKENDS = ("TensorFlow", "JAX", "torch")
DENSE_MATRIX_LIMIT = 131_072  # elements; on 2 CPU cores the dense matmul wins up to 100,000 at batch 128, more below
MANY_POSITIONS = 256  # from which on 1, whose every position costs a call, is not tried: it loses, after a long trace
MUCH_DENSER = 64  # times the kernel's size, from which on the dense matrix of 2 is not tried: it has not won beyond 16


class Sizes(Protocol):
    """What the terms of a row depend on; `lctrain.cost.LayerSizes` has it."""

    @property
    def num_positions(self) -> int: ...
    @property
    def kernel(self) -> int: ...
    @property
    def dense_matrix(self) -> int: ...


class Implementation(NamedTuple):
    """One way to compute a locally connected layer.

    Args:
        name: what a configuration and a constructor write.
        module: the file in `lctrain/ops/` that has it. Its name is the adjective of the matmul, for messages.
        colour: its place among the colours of every report.
        backends: those of Keras that have its operations.
        is_compilable: whether XLA compiles it.
        compiles_slowly: whether that takes so long that `tuned` leaves it out.
        matrix_elements: numbers of the matrix that it makes of the kernel, which each example is multiplied by; None
            where that is the kernel itself.
        index_bytes: that the matrix holds for each of its numbers.
        patch_copies: how often each patch of the input is held.
        hidden_bytes: of graphs and indices that TensorFlow holds besides.
        has_half: whether it computes in half precision where that is asked for.
        is_chosen: whether `auto` takes it for these sizes; the first row that says so is taken.
        is_hopeless: whether `tuned` leaves it out for these sizes.
    """

    name: int | str
    module: str
    colour: int
    backends: tuple[str, ...] = BACKENDS
    is_compilable: bool = True
    compiles_slowly: bool = False
    matrix_elements: Callable[[Sizes], int] | None = None
    index_bytes: int = 0
    patch_copies: int = 1
    hidden_bytes: Callable[[Sizes], int] = lambda _: 0
    has_half: bool = True
    is_chosen: Callable[[Sizes], bool] = lambda _: False
    is_hopeless: Callable[[Sizes], bool] = lambda _: False

    @property
    def label(self) -> str:
        """What it is called where all is text: on the command line, in tables and in the tracking store."""
        return str(self.name)


IMPLEMENTATIONS = {
    row.name: row
    for row in (
        Implementation(
            1,
            "unrolled",
            colour=0,
            # XLA takes minutes over thousands of small matmuls.
            compiles_slowly=True,
            # The input is cut up by position.
            patch_copies=2,
            # Each position has a graph of its own.
            hidden_bytes=lambda sizes: 150_000 * sizes.num_positions,
            is_hopeless=lambda sizes: sizes.num_positions >= MANY_POSITIONS,
        ),
        Implementation(
            2,
            "dense",
            colour=1,
            matrix_elements=lambda sizes: sizes.dense_matrix,
            patch_copies=0,
            # There one plain matmul beats the overhead of a gather.
            is_chosen=lambda sizes: sizes.dense_matrix <= DENSE_MATRIX_LIMIT,
            is_hopeless=lambda sizes: sizes.dense_matrix >= MUCH_DENSER * sizes.kernel,
        ),
        Implementation(
            3,
            "sparse",
            colour=2,
            # Keras' other backends have no sparse matrices that both multiply and have gradients.
            backends=("TensorFlow",),
            # XLA knows no sparse matrices.
            is_compilable=False,
            matrix_elements=lambda sizes: sizes.kernel,
            # A row and a column number, int64 each, and the column again in the compressed matrix.
            index_bytes=16 + 4,
            # Each of the functions that train, test and predict holds indices of its own.
            hidden_bytes=lambda sizes: 80 * sizes.kernel,
            # Sparse matrices are float32 or float64.
            has_half=False,
        ),
        Implementation("batched", "batched", colour=3, is_chosen=lambda _: True),
    )
}
LAYER_CHOICES = (*IMPLEMENTATIONS, "auto")
JOB_CHOICES = (*LAYER_CHOICES, "tuned")
if TYPE_CHECKING:  # which takes no list of values that is computed
    JobChoice = int | str
else:
    JobChoice = Literal[JOB_CHOICES]


def find_by_label(text: str) -> int | str:
    """The choice that a text on the command line means; the text itself where it means none.

    >>> find_by_label("2"), find_by_label("auto"), find_by_label("7")
    (2, 'auto', '7')
    """
    return {str(choice): choice for choice in JOB_CHOICES}.get(text, text)


def is_compilable(choice: Any) -> bool:
    """Whether XLA compiles a choice; what `auto` and `tuned` become always can be.

    >>> is_compilable(2), is_compilable(3), is_compilable("auto")
    (True, False, True)
    """
    return all(row.is_compilable for row in IMPLEMENTATIONS.values() if row.name == choice)
