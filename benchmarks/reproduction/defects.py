"""The defects that published figures of Voice2Series are suspected of, as switches on our code: simulations.

None of it is in the package. Labels by remainder: ``y % n_classes``. The best epoch by the accuracy on the test split.
An acoustic model that is trained with theta.
"""

import numpy as np
from skorch.callbacks import Callback


def labels_by_remainder(*labels):
    """Return label arrays as ``y % n_classes``, where n_classes is the number of distinct labels of the first.

    The labels -1 and +1 become the same, as do all others that differ by a multiple of ``n_classes``.
    """
    n_classes = len(np.unique(labels[0]))
    return tuple(np.asarray(y).astype(float).astype(int) % n_classes for y in labels)


def collapses(y):
    """Return whether `labels_by_remainder` merges classes of ``y``."""
    return len(np.unique(labels_by_remainder(y)[0])) < len(np.unique(y))


class TestAccuracy(Callback):
    """Writes the accuracy on the test split to the net's history after each epoch, as ``test_acc``.

    Training is not changed by it; who then reports the largest value has chosen the epoch on the test split.

    Parameters
    ----------
    predict : callable
        From the net to predicted labels of the test cases.
    y_test : array of shape (n_cases,)
    """

    __test__ = False  # no test of pytest's

    def __init__(self, predict, y_test):
        self.predict = predict
        self.y_test = y_test

    def on_epoch_end(self, net, **kwargs):
        """Record the accuracy."""
        net.history.record("test_acc", float(np.mean(self.predict(net) == self.y_test)))


class TrainedAcousticModel(Callback):
    """Trains the weights of the acoustic models together with theta: a copy, the shared frozen model stays as it is.

    Parameters
    ----------
    learning_rate : float, default=0.001
        Of the weights; with that of theta, 0.05, they lose what they had learned of speech in a few steps.
    """

    def __init__(self, learning_rate=0.001):
        self.learning_rate = learning_rate

    def on_train_begin(self, net, **kwargs):
        """Give each view a trainable copy of its model, and the optimizer its weights."""
        for view in net.module_.views:
            acoustic = view.acoustic.trainable_copy()
            view._acoustic = (acoustic,)
            net.optimizer_.add_param_group(
                {"params": list(acoustic.parameters()), "lr": self.learning_rate, "weight_decay": 0.0}
            )

    def on_train_end(self, net, **kwargs):
        """Freeze the trained copies."""
        for view in net.module_.views:
            view.acoustic.freeze()
