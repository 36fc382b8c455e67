"""Train a source model on Speech Commands and export it: ``python -m v2s_sklearn.pretrain v2sa --speech FOLDER``."""

import argparse
import logging
import platform
from dataclasses import dataclass, field
from pathlib import Path

import torch

from v2s_sklearn.acoustic.storage import ARCHITECTURES, WEIGHTS_DIR, load_weights, save_weights
from v2s_sklearn.pretrain.card import write_card
from v2s_sklearn.pretrain.data import read_clips, read_speech
from v2s_sklearn.pretrain.supervised import TrainingConfig, train

logger = logging.getLogger("v2s_sklearn.pretrain")


@dataclass
class Recipe:
    """What to train and how: architecture, its keyword arguments, training configuration."""

    architecture: str
    network: dict = field(default_factory=dict)
    training: TrainingConfig = field(default_factory=TrainingConfig)


RECIPES = {
    "v2st": Recipe("tcn", training=TrainingConfig(epochs=14, label_smoothing=0.05)),
    "v2sa": Recipe(
        "attention_rnn", training=TrainingConfig(epochs=50, batch_size=64, learning_rate=2e-3, teacher="v2st")
    ),
}


def parse_arguments(arguments=None):
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(prog="python -m v2s_sklearn.pretrain", description=__doc__)
    parser.add_argument("name", choices=sorted(RECIPES), help="the source model to train")
    parser.add_argument("--speech", type=Path, required=True, help="folder with the speech data")
    parser.add_argument("--output", type=Path, default=WEIGHTS_DIR, help="folder for the weights and the model card")
    parser.add_argument("--work-dir", type=Path, default=Path("pretrain-work"), help="checkpoints, to resume from")
    parser.add_argument("--epochs", type=int, help="instead of the recipe's number")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads")
    return parser.parse_args(arguments)


def evaluate_on_raw_audio(model, folder):
    """Return accuracy and loss on the raw test clips, through the model's own front end."""
    waveforms, words, _ = read_clips(folder, "gsc_wav_test")
    labels = torch.tensor([model.source_labels.index(word) for word in words])
    with torch.no_grad():
        logits = torch.cat([model(batch) for batch in torch.from_numpy(waveforms).split(256)])
    correct = (logits.argmax(1) == labels).double()
    spoken = torch.tensor([word != "_silence_" for word in words])
    return {
        "accuracy": correct.mean().item(),
        "loss": torch.nn.functional.cross_entropy(logits, labels).item(),
        "n": len(words),
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
    teacher = load_weights(options.output / f"{config.teacher}.safetensors") if config.teacher else None

    architecture = ARCHITECTURES[recipe.architecture]
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(config.seed)
        frontend = architecture(source_labels=["word"]).frontend
        logger.info("reading %s", options.speech)
        data, source_labels = read_speech(options.speech, frontend)
        network = {"source_labels": source_labels, **recipe.network}
        model = architecture(**network)
    logger.info("%d training clips, %d weights", len(data["train"]), model.n_parameters())
    model, history = train(model, data, config, options.work_dir / options.name, teacher)

    path = options.output / f"{options.name}.safetensors"
    digest = save_weights(model, path, recipe.architecture, network)
    test = evaluate_on_raw_audio(model, options.speech)
    logger.info("raw test clips: %s", test)
    write_card(
        path.with_suffix(".md"),
        model=model,
        architecture=recipe.architecture,
        config=config,
        data_sizes={name: len(split) for name, split in data.items()},
        history=history,
        test=test,
        command=f"python -m v2s_sklearn.pretrain {options.name} --speech FOLDER --threads {options.threads}",
        sha256=digest,
        machine=f"{options.threads} CPU threads, torch {torch.__version__}, Python {platform.python_version()}",
    )


if __name__ == "__main__":
    main()
