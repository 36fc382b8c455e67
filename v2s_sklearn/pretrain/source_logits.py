"""Export source logits of test clips: ``python -m v2s_sklearn.pretrain.source_logits --speech FOLDER``.

Shape legend: n clips, K source classes.
"""

import argparse
import logging
from pathlib import Path

import numpy as np
import torch

from v2s_sklearn.acoustic.registry import list_acoustic_models, load_acoustic_model
from v2s_sklearn.alignment.logits import LOGITS_FILE, SourceLogits, read_source_logits, save_source_logits
from v2s_sklearn.pretrain.__main__ import RECIPES
from v2s_sklearn.pretrain.datasets import DATASETS
from v2s_sklearn.runtime.threads import one_thread

logger = logging.getLogger("v2s_sklearn.pretrain")

N_CLIPS = 360


def choose_clips(words, source_labels, n_clips=N_CLIPS, seed=0):
    """Return which clips to take, sorted, an equal number of each source class where there are so many.

    Parameters
    ----------
    words : sequence of str
        Of all clips.
    source_labels : sequence of K str
    n_clips : int
        In all, about.
    seed : int
        Of the random choice.
    """
    random_state, words = np.random.RandomState(seed), np.array(words)
    size = -(-n_clips // len(source_labels))
    chosen = [random_state.permutation(np.flatnonzero(words == label))[:size] for label in source_labels]
    return np.sort(np.concatenate(chosen))


@one_thread()
@torch.no_grad()
def compute_source_logits(model, test, n_clips=N_CLIPS):
    """Return the `SourceLogits` of clips of a test set: the first window of each.

    Parameters
    ----------
    model : AcousticModel
    test : TestSet
    n_clips : int
    """
    first = np.unique(test.clip_index, return_index=True)[1]
    chosen = choose_clips(test.words, model.source_labels, n_clips)
    waveforms = torch.from_numpy(test.waveforms[first[chosen]][:, : model.n_samples])
    logits = torch.cat([model(part) for part in waveforms.split(64)]).numpy()
    return SourceLogits(logits, np.array([model.source_labels.index(test.words[i]) for i in chosen]))


def main(arguments=None):
    """Write the logits of each model into the file, in which those of others stay."""
    parser = argparse.ArgumentParser(prog="python -m v2s_sklearn.pretrain.source_logits", description=__doc__)
    parser.add_argument("names", nargs="*", help="acoustic models, by default all packaged ones")
    parser.add_argument("--speech", type=Path, required=True, help="folder with the speech data")
    parser.add_argument("--output", type=Path, default=str(LOGITS_FILE), help="the file")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    for name in options.names or [name for name in list_acoustic_models() if name in RECIPES]:
        model = load_acoustic_model(name)
        source_logits = compute_source_logits(model, DATASETS[RECIPES[name].dataset].read_test(options.speech))
        known = read_source_logits(options.output) if options.output.exists() else {}
        save_source_logits(options.output, known | {name: (source_logits, model.source.sha256)})
        read_source_logits.cache_clear()
        accuracy = (source_logits.logits.argmax(axis=1) == source_logits.labels).mean()
        logger.info("%s: %d clips, accuracy %.4f", name, len(source_logits.labels), accuracy)


if __name__ == "__main__":
    main()
