"""Cut one panel each out of figures of this folder, for the gallery: ``python docs/figures/thumbnails.py``."""

from pathlib import Path

from PIL import Image

FOLDER = Path(__file__).parent
# Name of the thumbnail: figure, and the box (left, top, right, bottom) of a panel in it, in pixels.
PANELS = {
    "thumb-spectrogram": ("reprogrammed-input", (340, 511, 600, 645)),
    "thumb-waveform": ("reprogrammed-input-paper", (88, 348, 330, 460)),
    "thumb-importance": ("importance", (480, 22, 800, 190)),
}


def main():
    """Write the thumbnails."""
    for name, (figure, box) in PANELS.items():
        Image.open(FOLDER / f"{figure}.png").crop(box).save(FOLDER / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
