"""One file a run, in the format of tsml-eval, so that its tools and published results can be read alike.

Line 1: data set, classifier, split, resample, unit of time, comment. Line 2: parameters of the classifier. Line 3:
accuracy, fit time, predict time, benchmark time, memory, number of classes, and three fields on training estimates that
stay empty. Then a line a case: true label, predicted label, nothing, and the probabilities of the classes in sorted
order; labels are the indices of the sorted classes.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.run import measures
from v2s_sklearn.files.writing import write_atomically


class Run(NamedTuple):
    """What tells a run of a setting from all others.

    Attributes
    ----------
    classifier : str
    seed : int
        Of the classifier.
    per_class : int
        Few labels: so many training cases of each class; 0 for all.
    dataset : str
    resample : int
        0 is the default split.
    split : {"TEST", "TRAIN"}
        "TRAIN" for predictions by cross-validation on the training split.
    """

    classifier: str
    seed: int
    per_class: int
    dataset: str
    resample: int
    split: str = "TEST"

    @property
    def label(self):
        """Name of the classifier's folder."""
        return f"{self.classifier}-seed{self.seed}" if self.seed else self.classifier

    def path(self, folder):
        """Return its file: ``<folder>/[<per_class>/]<label>/Predictions/<dataset>/testResample<k>.csv``."""
        folder = Path(folder) / str(self.per_class) if self.per_class else Path(folder)
        return folder / self.label / "Predictions" / self.dataset / f"{self.split.lower()}Resample{self.resample}.csv"

    @classmethod
    def of_path(cls, path, folder):
        """Return the run of a file in the folder of a setting."""
        *per_class, label, _, dataset, _ = path.relative_to(folder).parts
        classifier, _, seed = re.fullmatch(r"(.*?)(-seed(\d+))?", label).groups()
        split, resample = path.stem.split("Resample")
        return cls(classifier, int(seed or 0), int("".join(per_class) or 0), dataset, int(resample), split.upper())


def find_runs(folder):
    """Return the files of runs in the folder of a setting: a dict of `Run` to path."""
    paths = [*folder.glob("*/Predictions/*/*Resample*.csv"), *folder.glob("[0-9]*/*/Predictions/*/*Resample*.csv")]
    return {Run.of_path(path, folder): path for path in sorted(paths)}


@dataclass
class Result:
    """The predictions of one run.

    Attributes
    ----------
    dataset, classifier : str
    resample : int
        0 is the default split.
    labels : int array of shape (n_cases,)
        True classes, as indices of the sorted labels.
    probabilities : array of shape (n_cases, n_classes)
    fit_time, predict_time : float
        In seconds, of the processor where one thread was used.
    memory : int
        Greatest resident memory of the process in bytes; -1 if unknown.
    split : {"TEST", "TRAIN"}
        "TRAIN" for predictions by cross-validation on the training split.
    parameters, comment : str
        One line each.
    """

    dataset: str
    classifier: str
    resample: int
    labels: np.ndarray
    probabilities: np.ndarray
    fit_time: float
    predict_time: float
    memory: int = -1
    split: str = "TEST"
    parameters: str = "No Parameter Info"
    comment: str = ""

    @property
    def predicted(self):
        """Predicted classes, as indices."""
        return self.probabilities.argmax(axis=1)

    @property
    def accuracy(self):
        """Share of the cases predicted right."""
        return float(np.mean(self.predicted == self.labels))

    @property
    def log_loss(self):
        """See `measures.log_loss`."""
        return measures.log_loss(self.labels, self.probabilities)

    def write(self, path):
        """Write the file, whole or not at all."""
        one_line = str.maketrans({"\n": " ", "\r": " "})
        head = [
            f"{self.dataset},{self.classifier},{self.split},{self.resample},MILLISECONDS,{self.comment}",
            self.parameters,
            f"{self.accuracy},{round(1000 * self.fit_time)},{round(1000 * self.predict_time)},-1,{self.memory},"
            f"{self.probabilities.shape[1]},,-1,-1",
        ]
        lines = [line.translate(one_line) for line in head]
        for label, predicted, row in zip(self.labels, self.predicted, self.probabilities, strict=True):
            lines.append(f"{label},{predicted},," + ",".join(f"{value:.6g}" for value in row))
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        # A scheduler that loses sight of a worker has the same run made twice at a time.
        write_atomically(path, ("\n".join(lines) + "\n").encode())

    @classmethod
    def read(cls, path):
        """Read a file.

        Raises
        ------
        ValueError
            If it is no such file; the message names it and the line.
        """
        lines = Path(path).read_text().splitlines()
        try:
            dataset, classifier, split, resample, unit, comment = lines[0].split(",", 5)
            seconds = {"MILLISECONDS": 1e-3, "SECONDS": 1.0, "NANOSECONDS": 1e-9}[unit.strip().upper()]
            _, fit_time, predict_time, _, memory, *_ = lines[2].split(",")
            cases = [line.split(",") for line in lines[3:] if line.strip()]
            labels = np.array([int(float(case[0])) for case in cases])
            probabilities = np.array([[float(value) for value in case[3:]] for case in cases])
        except (IndexError, KeyError, ValueError) as error:
            raise ValueError(f"{path} is not a result file in tsml-eval's format: {error!r}.") from error
        return cls(
            dataset,
            classifier,
            int(resample),
            labels,
            probabilities,
            fit_time=float(fit_time) * seconds,
            predict_time=float(predict_time) * seconds,
            memory=int(float(memory)),
            split=split,
            parameters=lines[1],
            comment=comment,
        )
