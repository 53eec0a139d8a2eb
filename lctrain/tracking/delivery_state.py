"""How far a journal is delivered: a small file beside it, so that another process can go on."""

import json
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lctrain.system.files import replace_file

FILE = "delivered.json"
# The name of `refused` in the file, which earlier versions have written too.
REFUSED = "put_by"


@dataclass
class DeliveryState:
    """What the store has. To deliver something again has the same effect as once, so the file may lag behind."""

    offset: int = 0
    """All lines that end up to this byte are delivered, or refused."""
    run_id: str | None = None
    """The store's; None where the run isn't there yet."""
    num_creations: int = 0
    """How often the store was asked to make the run; after a lost answer it may have made two."""
    parent_id: str | None = None
    """The run of the sweep that the run was linked to."""
    refused: list[dict[str, Any]] = field(default_factory=list)
    """Entries that the store did not take while it took others, each with the `reason`."""

    @classmethod
    def read(cls, folder: Path) -> "DeliveryState":
        """What was written last, or the beginning, where that is missing or spoilt."""
        with suppress(OSError, ValueError, TypeError, AttributeError):
            fields = json.loads((folder / FILE).read_text())
            return cls(refused=fields.pop(REFUSED, []), **fields)
        return cls()

    def write(self, folder: Path) -> None:
        fields = asdict(self)
        fields[REFUSED] = fields.pop("refused")
        with suppress(OSError):  # without room on the disk more is delivered again, that is all
            replace_file(folder / FILE, json.dumps(fields).encode(), survives_power_loss=False)
