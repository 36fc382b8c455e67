"""Checkpoints of a training: what it goes on with, and what it was started with."""

import logging
from dataclasses import asdict
from pathlib import Path

from v2s_sklearn.acoustic.registry import digest_of_model
from v2s_sklearn.errors import SavedFileError
from v2s_sklearn.files.checksums import digest_of_tensors
from v2s_sklearn.files.trees import read_tree, write_tree

logger = logging.getLogger(__name__)

FILE, KIND, VERSION = "checkpoint.safetensors", "checkpoint of v2s_sklearn.pretrain", 1


def _read(path):
    return read_tree(path, KIND, VERSION)[0]


def read_history(work_dir):
    """Return the history of a training from its work folder; an empty list where there is no checkpoint."""
    path = Path(work_dir) / FILE
    return _read(path)["history"] if path.exists() else []


class Checkpoint:
    """The checkpoint in a work folder, which knows the training that it is of.

    Parameters
    ----------
    work_dir : path
    config : dataclass
        How the model is trained.
    model : AcousticModel
        As it is before training.
    data : dict of Split
    teachers : sequence of AcousticModel, optional
    """

    def __init__(self, work_dir, config, model, data, teachers=()):
        self.path = Path(work_dir) / FILE
        self.training = {
            "configuration": asdict(config),
            "network, source classes or first weights": digest_of_model(model),
            "teachers": [digest_of_model(teacher) for teacher in teachers],
            "data": {name: digest_of_tensors(vars(split)) for name, split in data.items()},
        }

    def save(self, state, history):
        """Write a checkpoint so that a kill at any moment leaves the old or the new one, whole.

        Parameters
        ----------
        state : dict
            Objects with ``state_dict``.
        history : list of dict
        """
        states = {name: item.state_dict() for name, item in state.items()}
        write_tree(self.path, {"training": self.training, "state": states, "history": history}, KIND, VERSION)

    def load(self, state):
        """Restore what `save` wrote, if there is such a file; return the history so far.

        Raises
        ------
        SavedFileError
            If the file is damaged, or is of another training.
        """
        if not self.path.exists():
            return []
        advice = f"Give another --work-dir, or remove {self.path} to begin anew."
        try:
            found = _read(self.path)
        except SavedFileError as error:
            raise SavedFileError(f"{error} {advice}") from error
        other = [name for name, value in self.training.items() if found["training"].get(name) != value]
        if other:
            differences = "".join(
                f"\n{name}: {found['training'].get(name)}\nnow: {self.training[name]}" for name in other
            )
            raise SavedFileError(
                f"{self.path} was written with another {' and another '.join(other)}. {advice}{differences}"
            )
        for name, item in state.items():
            item.load_state_dict(found["state"][name])
        logger.info("resuming after epoch %d", len(found["history"]))
        return found["history"]
