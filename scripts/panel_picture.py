"""Draw docs/panel.png from the panel's patterns: four seconds of every state."""

from pathlib import Path

from matplotlib.figure import Figure

from facegate.hardware.panel import PATTERNS, PanelState

OUT = Path(__file__).parent.parent / "docs" / "panel.png"
SECONDS = 4.0
COLOURS = {"green": "#2e9e4f", "red": "#d64545", "blue": "#3b6fd4", "buzzer": "#333333"}
ROWS = ("green", "red", "blue", "buzzer")


def lit(state: PanelState) -> list[tuple[str, float, float]]:
    """Give what is on in a state: lamp, start and length in seconds."""
    pattern, at_s, found = PATTERNS[state], 0.0, []
    while at_s < SECONDS - 1e-9:
        on, left_s = pattern.at(at_s)
        length_s = min(max(left_s, 1e-3), SECONDS - at_s)  # sums of fractions never quite meet
        if pattern.once and at_s >= pattern.seconds - 1e-9:
            break
        found += [(lamp, at_s, length_s) for lamp in on]
        at_s += length_s
    return found


def draw() -> None:
    """Write the picture."""
    figure = Figure(figsize=(10, 9), layout="constrained")
    axes = figure.subplots(len(PanelState), 1, sharex=True)
    for state, plot in zip(PanelState, axes, strict=True):
        for lamp, start_s, length_s in lit(state):
            row = ROWS[::-1].index(lamp)
            height = 0.35 if lamp == "buzzer" else 0.9
            plot.broken_barh([(start_s, length_s)], (row, height), color=COLOURS[lamp])
        plot.set_ylim(-0.2, len(ROWS))
        plot.set_xlim(0, SECONDS)
        plot.set_yticks([])
        once = ", once" if PATTERNS[state].once else ""
        plot.set_ylabel(state.value + once, rotation=0, ha="right", va="center")
        plot.spines[["top", "right", "left"]].set_visible(False)
    axes[-1].set_xlabel("seconds; thin black: buzzer")
    figure.savefig(OUT, dpi=90)


if __name__ == "__main__":
    draw()
