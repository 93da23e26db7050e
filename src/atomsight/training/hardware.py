"""Threads, devices and machines of a training."""

from __future__ import annotations

from dataclasses import dataclass

from atomsight.core.errors import InputError


@dataclass(frozen=True)
class Hardware:
    """Threads, devices and machines of a training.

    Attributes:
        threads: threads of PyTorch; None leaves its own choice.
        accelerator: as Lightning takes it: ``cpu``, ``gpu``, ``auto``.
        devices: processes on each machine, one for each GPU; with more than one in all, Lightning's DDP
            averages their gradients, and each step is over the same sites as in one process. Lightning runs
            the calling script again for each, so that all of them come here; the others return, too, once
            the first has written the model (``processes.py``).
        nodes: machines.
        in_memory: hold train and val sites on the device instead of streaming them each epoch (some 200
            bytes a site); only for models of whole crystals, on one device.

    Raises:
        InputError: there is no device or no machine.
    """

    threads: int | None = None
    accelerator: str = "cpu"
    devices: int = 1
    nodes: int = 1
    in_memory: bool = False

    def __post_init__(self) -> None:
        if self.devices < 1 or self.nodes < 1:
            raise InputError(f"devices and nodes must be at least 1, not {self.devices} and {self.nodes}")

    @property
    def processes(self) -> int:
        """Processes on all machines."""
        return self.devices * self.nodes
