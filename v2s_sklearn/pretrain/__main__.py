"""Train a source model and export it: ``python -m v2s_sklearn.pretrain v2sa --speech FOLDER``."""

import argparse
import copy
import logging
import platform
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from v2s_sklearn.acoustic.networks.vggish import AUDIOSET_VGGISH, load_audioset_vggish
from v2s_sklearn.acoustic.storage import WEIGHTS_DIR, architecture_class, load_weights, save_weights
from v2s_sklearn.errors import WeightsError
from v2s_sklearn.pretrain.augmentation import Augmentation, WaveformAugmentation
from v2s_sklearn.pretrain.card import describe_episodes, write_card
from v2s_sklearn.pretrain.contrastive import ContrastiveConfig, train_contrastive
from v2s_sklearn.pretrain.datasets import DATASETS, SILENCE
from v2s_sklearn.pretrain.few_shot import FewShotConfig, compare_on_episodes, train_few_shot
from v2s_sklearn.pretrain.supervised import TrainingConfig, train

logger = logging.getLogger("v2s_sklearn.pretrain")


@dataclass
class Recipe:
    """What to train and how: architecture, its keyword arguments, training configuration, data set.

    ``load_public`` (path, source labels) builds the model from a public weights file instead.
    """

    architecture: str
    network: dict = field(default_factory=dict)
    training: TrainingConfig | ContrastiveConfig | FewShotConfig = field(default_factory=TrainingConfig)
    dataset: str = "speech-commands"
    load_public: Callable | None = None


# Tasks of many sizes, with motifs and rhythms: a network unlike v2sc, which makes a stack of both better than either.
VARIED_TASKS = FewShotConfig(
    epochs=12,
    steps_per_epoch=200,
    episodes={"word": 1, "texture": 1, "variant": 3, "motif": 2, "rhythm": 1},
    n_classes=(2, 3, 4, 6, 10),
    n_cases=36,
    lengths=(64, 128, 256, 512),
    length_shares=(0.5, 0.4, 0.08, 0.02),
    averaging=0.999,
    complement_from=0.3,
)

# In an order in which each can be trained: teachers and starting points come first.
RECIPES = {
    "v2st-base": Recipe("tcn", training=TrainingConfig(epochs=14, label_smoothing=0.05)),
    "v2sa": Recipe(
        "attention_rnn",
        training=TrainingConfig(
            epochs=50, batch_size=64, learning_rate=2e-3, teachers=("v2st-base",), teacher_shifts=(-5, 0, 5)
        ),
    ),
    "v2st-small": Recipe(
        "tcn",
        training=TrainingConfig(epochs=16, start_from="v2st-base", teachers=("v2sa", "v2st-base")),
    ),
    "v2sr-base": Recipe("resnet", training=TrainingConfig(epochs=16, teachers=("v2sa", "v2st-base"))),
    "v2su": Recipe(
        "unet_attention_rnn",
        training=TrainingConfig(epochs=3, learning_rate=1e-3, start_from="v2sa", teachers=("v2sa", "v2st-small")),
    ),
    "v2sr": Recipe(
        "resnet",
        training=TrainingConfig(
            epochs=5, learning_rate=1.5e-3, start_from="v2sr-base", teachers=("v2sa", "v2sr-base", "v2su")
        ),
    ),
    "v2st-wide": Recipe(
        "tcn",
        {"channels": (40, 56, 56, 88, 88, 120, 120)},
        TrainingConfig(epochs=18, teachers=("v2sa", "v2sr-base", "v2su")),
    ),
    "v2st": Recipe(
        "tcn",
        {"channels": (40, 56, 56, 88, 88, 120, 120), "band_filters": (16, 16)},
        TrainingConfig(
            epochs=18,
            start_from="v2st-wide",
            teachers=("v2sa", "v2sr", "v2su"),
            augmentation=Augmentation(
                stretch=0.12, shift=0.1, warp=0.06, noise_probability=0.3, n_masks=1, time_mask=14, mel_mask=5
            ),
        ),
    ),
    "v2sv": Recipe("vggish", training=TrainingConfig(epochs=6, teachers=("v2sa", "v2st-small"))),
    "v2sv-full": Recipe(
        "vggish",
        {name: AUDIOSET_VGGISH[name] for name in ("channels", "dense_sizes")},
        TrainingConfig(epochs=6, learning_rate=1e-3, teachers=("v2sa", "v2st-small")),
    ),
    "sincnet": Recipe(
        "sincnet",
        training=TrainingConfig(
            epochs=7, batch_size=64, teachers=("v2sa", "v2st-small"), augmentation=WaveformAugmentation()
        ),
        dataset="speech-commands-audio",
    ),
    "wav2vec": Recipe("wav2vec", training=ContrastiveConfig(epochs=5), dataset="speech-commands-audio"),
    "v2sc": Recipe("contour", training=FewShotConfig(), dataset="speech-contours"),
    "v2sc-varied": Recipe("contour", training=VARIED_TASKS, dataset="speech-contours"),
    # The controls without speech; not packaged, so they learn no words.
    "v2sc-noise": Recipe(
        "contour", training=FewShotConfig(contours="noise", probe_epochs=0), dataset="speech-contours"
    ),
    "v2sc-varied-noise": Recipe(
        "contour", training=replace(VARIED_TASKS, contours="noise", probe_epochs=0), dataset="speech-contours"
    ),
    "v2sp": Recipe(
        "vggish",
        AUDIOSET_VGGISH,
        TrainingConfig(epochs=8, batch_size=32, learning_rate=1e-4, augmentation=Augmentation(log_std=1.0)),
        dataset="speech-commands-audio",
        load_public=load_audioset_vggish,
    ),
    "v2sa-digits": Recipe(
        "attention_rnn", training=TrainingConfig(epochs=60, batch_size=32, learning_rate=2e-3), dataset="digits"
    ),
    "v2sa-esc10": Recipe(
        "attention_rnn", training=TrainingConfig(epochs=60, batch_size=32, learning_rate=2e-3), dataset="esc10"
    ),
}


def parse_arguments(arguments=None):
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(prog="python -m v2s_sklearn.pretrain", description=__doc__)
    parser.add_argument("name", choices=sorted(RECIPES), help="the source model to train")
    parser.add_argument("--speech", type=Path, required=True, help="folder with the speech data")
    parser.add_argument(
        "--output", type=Path, default=str(WEIGHTS_DIR), help="folder for the weights and the model card"
    )
    parser.add_argument("--work-dir", type=Path, default=Path("pretrain-work"), help="checkpoints, to resume from")
    parser.add_argument("--start-from", type=Path, help="public weights to fine-tune, as .safetensors (v2sp)")
    parser.add_argument("--epochs", type=int, help="instead of the recipe's number")
    parser.add_argument("--device", default="cpu", help="of contour networks, not yet run on a GPU; others: CPU")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads")
    return parser.parse_args(arguments)


def load_trained(name, options):
    """Return a model trained before, from the output folder or, if it is not packaged, the work folder."""
    paths = [folder / f"{name}.safetensors" for folder in (options.output, options.work_dir)]
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        raise WeightsError(
            f"{options.name} needs {name}, which is neither in {options.output} nor in {options.work_dir}. Train it "
            f"before: python -m v2s_sklearn.pretrain {name} --speech FOLDER."
        )
    return load_weights(path)[0]


def copy_matching_weights(source, target):
    """Copy the weights that have the same name and shape in both models into ``target``."""
    own = target.state_dict()
    matching = {name: value for name, value in source.state_dict().items() if value.shape == own.get(name, value).shape}
    target.load_state_dict({name: value for name, value in matching.items() if name in own}, strict=False)


def run_training(model, data, config, options):
    """Train as the kind of configuration says; return the model and its history."""
    work_dir = options.work_dir / options.name
    if isinstance(config, ContrastiveConfig):
        return train_contrastive(model, data, config, work_dir)
    if isinstance(config, FewShotConfig):
        return train_few_shot(model, data, config, work_dir, options.device)
    if config.start_from:
        copy_matching_weights(load_trained(config.start_from, options), model)
    return train(model, data, config, work_dir, [load_trained(name, options) for name in config.teachers])


@torch.no_grad()
def evaluate_on_raw_audio(model, test):
    """Return accuracy and loss on raw test clips, through the model's own front end.

    A clip's probabilities are the mean of those of its windows.
    """
    waveforms = torch.from_numpy(test.waveforms)
    windows = torch.cat([model.predict_proba(batch[:, : model.n_samples]) for batch in waveforms.split(256)])
    index, counts = torch.from_numpy(test.clip_index), torch.from_numpy(np.bincount(test.clip_index))
    probabilities = torch.zeros(len(test.words), model.n_classes).index_add_(0, index, windows) / counts[:, None]
    labels = torch.tensor([model.source_labels.index(word) for word in test.words])
    correct = (probabilities.argmax(1) == labels).double()
    spoken = torch.tensor([word != SILENCE for word in test.words])
    return {
        "accuracy": correct.mean().item(),
        "loss": torch.nn.functional.nll_loss(probabilities.log(), labels).item(),
        "n": len(test.words),
        "accuracy_words": correct[spoken].mean().item(),
        "n_words": int(spoken.sum()),
    }


def main(arguments=None):
    """Train, export and describe one source model."""
    options = parse_arguments(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(options.threads)
    recipe = RECIPES[options.name]
    config = recipe.training
    if options.epochs:
        config.epochs = options.epochs
    dataset = DATASETS[recipe.dataset]
    if bool(recipe.load_public) != bool(options.start_from):
        needed = "needs" if recipe.load_public else "takes no"
        raise WeightsError(f"{options.name} {needed} --start-from, the file of public weights it is fine-tuned from.")

    architecture = architecture_class(recipe.architecture)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(config.seed)
        prototype = architecture(source_labels=["word"], **recipe.network)
        logger.info("reading %s", options.speech)
        data, source_labels = dataset.read(options.speech, prototype, options.work_dir)
        network = {"source_labels": source_labels, **recipe.network}
        model = architecture(**network)
    untrained = copy.deepcopy(model)
    if recipe.load_public:
        model = recipe.load_public(options.start_from, source_labels)
    logger.info("%d training clips, %d weights", len(data["train"]), model.n_parameters())
    model, history = run_training(model, data, config, options)
    results = ""
    if isinstance(config, FewShotConfig):
        control = options.work_dir / f"{options.name}-noise"
        results = describe_episodes(compare_on_episodes(untrained, history, control, data, config), config)

    path = options.output / f"{options.name}.safetensors"
    digest = save_weights(model, path, recipe.architecture, network)
    test = evaluate_on_raw_audio(model, dataset.read_test(options.speech))
    logger.info("raw test clips: %s", test)
    write_card(
        path,
        model=model,
        architecture=recipe.architecture,
        config=config,
        data=dataset.description,
        data_sizes={name: len(split) for name, split in data.items()},
        history=history,
        test=test,
        command=f"python -m v2s_sklearn.pretrain {options.name} --speech FOLDER --threads {options.threads}"
        + (" --start-from FILE" if options.start_from else ""),
        sha256=digest,
        results=results,
        machine=f"{options.threads} CPU threads, torch {torch.__version__}, Python {platform.python_version()}",
    )


if __name__ == "__main__":
    main()
