"""One file a run, in the format of tsml-eval, so that its tools and published results can be read alike.

Line 1: data set, classifier, split, resample, unit of time, comment. Line 2: parameters of the classifier. Line 3:
accuracy, fit time, predict time, benchmark time, memory, number of classes, and three fields on training estimates that
stay empty. Then a line a case: true label, predicted label, nothing, and the probabilities of the classes in sorted
order; labels are the indices of the sorted classes.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from v2s_sklearn.acoustic.storage import write_atomically


def result_path(folder, classifier, dataset, resample, split="test"):
    """Return where the result of a run stands: ``<folder>/<classifier>/Predictions/<dataset>/testResample<k>.csv``."""
    return Path(folder) / classifier / "Predictions" / dataset / f"{split}Resample{resample}.csv"


def expected_calibration_error(labels, probabilities, n_bins=15):
    """Return the mean distance of confidence and accuracy, over bins of equal width of the top probability.

    Parameters
    ----------
    labels : int array of shape (n_cases,)
        True classes, as columns of ``probabilities``.
    probabilities : array of shape (n_cases, n_classes)
    n_bins : int, default=15
        A bin holds its upper edge.

    Returns
    -------
    float
        From 0 to 1; bins are weighted by their cases.

    References
    ----------
    .. [1] C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, On calibration of modern neural networks, ICML 2017, section 2.
    """
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    bins = np.ceil(confidence * n_bins).astype(int)
    return float(np.abs(np.bincount(bins, confidence) - np.bincount(bins, right)).sum() / len(labels))


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
        """Mean negative log-probability of the true classes, in nats."""
        true = self.probabilities[np.arange(len(self.labels)), self.labels]
        return float(-np.log(true.clip(1e-15)).mean())

    @property
    def brier_score(self):
        """Mean squared distance of the probabilities from the true classes, from 0 to 2."""
        return float(np.square(self.probabilities - np.eye(self.probabilities.shape[1])[self.labels]).sum(1).mean())

    @property
    def calibration_error(self):
        """See `expected_calibration_error`."""
        return expected_calibration_error(self.labels, self.probabilities)

    @property
    def class_accuracies(self):
        """Share of the cases of each class predicted right; classes without a case are left out."""
        right = self.predicted == self.labels
        return np.array([right[self.labels == label].mean() for label in np.unique(self.labels)])

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
