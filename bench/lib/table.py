"""Figures of many rounds, as a table that a person reads."""

import statistics


class Figure:
    """One line: its name, which way is better, and the goal as a ratio.

    `against` names the peers that the goal speaks of; without it, all that were measured.
    """

    def __init__(self, name, better, goal=None, against=()):
        self.name, self.better, self.goal, self.against = name, better, goal, against


def short(value):
    """Three digits that count."""
    if value >= 1000:
        return f"{value:.0f}"
    return f"{value:.3g}"


def _cell(values):
    if not values:
        return ""
    middle = short(statistics.median(values))
    if len(values) == 1:
        return middle
    return f"{middle} ({short(min(values))}..{short(max(values))})"


def _ratio(figure, values, best):
    """The build's median over the best peer's, and whether that meets the goal."""
    if not values or best is None:
        return ""
    middle = statistics.median(values)
    if best == 0:
        return "as good" if middle == 0 or figure.better == "up" else "worse"
    ratio = middle / best
    if figure.goal is None:
        return f"{ratio:.2f}"
    met = ratio >= figure.goal if figure.better == "up" else ratio <= figure.goal
    sign = ">=" if figure.better == "up" else "<="
    return f"{ratio:.2f} ({'meets' if met else 'SHORT OF'} {sign} {figure.goal})"


def rows(figures, results, builds):
    """Lines of cells; the first is the heading. `results[peer][figure name]` is a list."""
    peers = list(results)
    others = [peer for peer in peers if peer not in builds]
    lines = [["figure", *peers, *(f"{build} / best peer" for build in builds)]]
    for figure in figures:
        of = {peer: results[peer].get(figure.name, []) for peer in peers}
        if not any(of.values()):
            continue
        middles = {
            peer: statistics.median(of[peer])
            for peer in figure.against or others if of.get(peer)}
        best = (max if figure.better == "up" else min)(middles.values(), default=None)
        arrow = "^" if figure.better == "up" else "v"
        cells = [
            ("*" if peer in middles and middles[peer] == best else "") + _cell(of[peer])
            for peer in peers]
        lines.append([
            f"{figure.name} {arrow}", *cells,
            *(_ratio(figure, of.get(build, []), best) for build in builds)])
    return lines


def render(lines):
    """A Markdown table whose columns stand under each other."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    out = []
    for number, line in enumerate(lines):
        out.append("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |")
        if number == 0:
            out.append("|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(out)
