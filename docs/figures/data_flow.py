"""Draw the data flow of docs/add_a_view.md: ``python docs/figures/data_flow.py`` writes data-flow.svg here."""

from pathlib import Path

# From top to bottom: text, shape of what leaves the box, and whether the box is computed by a view.
STEPS = [
    ("series", "(N, C, T)", False),
    ("input transformation H(x; theta)", "waveforms (N, G, S)", True),
    ("frozen acoustic model", "activations (N G, ., frames)", True),
    ("pooling over time", "embedding (N, D)", True),
    ("mapping: a ridge a view, stacked", "probabilities (N, classes)", False),
]
WIDTH, BOX, GAP, TOP = 400, 44, 46, 16
BLUE, GREY = "#0072B2", "#555555"


def draw():
    """Return the drawing, one column that is readable on a narrow screen."""
    height = TOP + len(STEPS) * (BOX + GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        'font-family="sans-serif" font-size="14">',
        '<defs><marker id="head" markerWidth="8" markerHeight="8" refX="6" refY="4" orient="auto">'
        f'<path d="M0,0 L8,4 L0,8 z" fill="{GREY}"/></marker></defs>',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
    ]
    first = next(index for index, step in enumerate(STEPS) if step[2])
    count = sum(step[2] for step in STEPS)
    y = TOP + first * (BOX + GAP) - 10
    parts.append(
        f'<rect x="6" y="{y}" width="{WIDTH - 12}" height="{count * (BOX + GAP) - GAP + 20}" rx="8" fill="#EAF3F9" '
        f'stroke="{BLUE}" stroke-dasharray="5 4"/>'
        f'<text x="{WIDTH - 16}" y="{y + 18}" text-anchor="end" fill="{BLUE}" font-size="12">one view</text>'
    )
    for index, (text, shape, inside) in enumerate(STEPS):
        y = TOP + index * (BOX + GAP)
        colour = BLUE if inside else GREY
        parts.append(
            f'<rect x="30" y="{y}" width="270" height="{BOX}" rx="6" fill="white" stroke="{colour}"/>'
            f'<text x="165" y="{y + BOX / 2 + 5}" text-anchor="middle" fill="black">{text}</text>'
            f'<text x="178" y="{y + BOX + 28}" fill="{GREY}">{shape}</text>'
        )
        end = y + BOX + GAP - 3
        parts.append(
            f'<line x1="165" y1="{y + BOX}" x2="165" y2="{end}" stroke="{GREY}" stroke-width="1.5" '
            'marker-end="url(#head)"/>'
        )
    return "\n".join([*parts, "</svg>"]) + "\n"


def main():
    """Write the drawing."""
    Path(__file__).with_name("data-flow.svg").write_text(draw())


if __name__ == "__main__":
    main()
