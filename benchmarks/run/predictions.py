"""The predictions of all runs in one archive.

A numpy archive (npz) without pickles. The predicted class of each case is kept as it is, of the other classes the
log-probability below that of the predicted one, in steps of `STEP` nats. Accuracy comes back as it was, a log loss to
about 1e-6; what depends on ties and on edges of bins (area under ROC, calibration error) may differ by more, and stands
in the tables as it was. True labels are the same in many runs and are kept once.

Shapes: N cases, C classes.
"""

import io
import re
from pathlib import Path

import numpy as np

from benchmarks.run.results import Run
from v2s_sklearn.files.writing import write_atomically

# Three bytes a value: from 0 to 64 nats. The last one stands for a probability of 0.
STEP = 2.0**-18
NEVER = 2**24 - 1


def encode(probabilities):
    """Return probabilities (N, C) as predicted classes (N,) and steps below these, (N, C - 1); argmax is kept."""
    predicted = probabilities.argmax(axis=1)
    top = probabilities[np.arange(len(predicted)), predicted][:, None]
    with np.errstate(divide="ignore"):
        steps = np.round((np.log(top) - np.log(probabilities)) / STEP)
    # A class that is less probable, by however little, stays so.
    steps = np.maximum(steps, probabilities < top).clip(max=NEVER).astype(np.uint32)
    others = np.arange(probabilities.shape[1]) != predicted[:, None]
    return predicted.astype(np.uint8), steps[others].reshape(len(predicted), -1)


def decode(predicted, steps):
    """Return the probabilities (N, C) that `encode` was given, nearly."""
    n_cases, n_classes = len(predicted), steps.shape[1] + 1
    ratios = np.ones((n_cases, n_classes))
    others = np.arange(n_classes) != predicted[:, None]
    ratios[others] = np.where(steps == NEVER, 0.0, np.exp(-STEP * steps)).ravel()
    return ratios / ratios.sum(axis=1, keepdims=True)


def write_archive(path, predictions):
    """Write an archive, whole or not at all.

    Parameters
    ----------
    path : path
    predictions : dict of (str, Run) to (array of shape (N,), array of shape (N, C))
        By setting and run: true classes and probabilities.
    """
    names, sizes, label_sets, predicted, steps = [], [], {}, [], []
    for setting, run in sorted(predictions):
        labels, probabilities = predictions[setting, run]
        names.append(run.path(setting).as_posix())
        labels = labels.astype(np.uint8).tobytes()
        sizes.append((*probabilities.shape, label_sets.setdefault(labels, len(label_sets))))
        classes, below = encode(probabilities)
        predicted.append(classes)
        steps.append(below.ravel())
    steps = np.concatenate(steps) if steps else np.zeros(0, np.uint32)
    content = io.BytesIO()
    np.savez_compressed(
        content,
        runs=np.array(names),
        sizes=np.array(sizes, np.int64).reshape(-1, 3),
        label_counts=np.array([len(labels) for labels in label_sets], np.int64),
        labels=np.frombuffer(b"".join(label_sets), np.uint8),
        predicted=np.concatenate(predicted) if predicted else np.zeros(0, np.uint8),
        # Byte by byte, of which the highest ones compress well.
        steps=np.stack([(steps >> shift & 255).astype(np.uint8) for shift in (0, 8, 16)]),
    )
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, content.getvalue())


def read_archive(path):
    """Return the predictions of an archive as `write_archive` takes them."""
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    steps = arrays["steps"].astype(np.uint32)
    steps = steps[0] | steps[1] << 8 | steps[2] << 16
    label_sets = np.split(arrays["labels"].astype(int), np.cumsum(arrays["label_counts"])[:-1])
    predictions, first_case, first_step = {}, 0, 0
    for name, (n_cases, n_classes, label_set) in zip(arrays["runs"], arrays["sizes"], strict=True):
        last_case, last_step = first_case + n_cases, first_step + n_cases * (n_classes - 1)
        setting = re.match(r"[^/]+", str(name))[0]
        probabilities = decode(
            arrays["predicted"][first_case:last_case],
            steps[first_step:last_step].reshape(n_cases, n_classes - 1),
        )
        predictions[setting, Run.of_path(Path(str(name)), setting)] = label_sets[label_set], probabilities
        first_case, first_step = last_case, last_step
    return predictions
