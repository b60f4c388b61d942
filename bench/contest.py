"""The outcome of a comparison with peers: the rounds, differences of answers, the table."""

import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from measure import append, machine, ratios, spread


@dataclass
class Side:
    """The rounds of one contender on one case."""

    name: str
    threads: int | None  # None if the contender decides
    seconds: list[float] = field(default_factory=list)  # of one unit of work, one entry per round
    version: str = ""
    extra_mb: float | None = None  # memory besides input and output


@dataclass(frozen=True)
class Difference:
    """The difference between the answers of a peer and of nnth, and its tolerance."""

    value: float
    most: float
    of: str  # the compared quantity, and its unit

    @property
    def agrees(self) -> bool:
        return self.value <= self.most


@dataclass
class Contest:
    """A case: nnth, on one number of threads or on several, and its peers."""

    comparison: str
    case: str
    unit: str  # the work to which the seconds refer
    ours: list[Side]
    peers: list[Side] = field(default_factory=list)
    differences: dict[str, Difference] = field(default_factory=dict)  # by peer
    absent: dict[str, str] = field(default_factory=dict)  # peer and the reason
    # The same, for peers that failed while running.
    failed: dict[str, str] = field(default_factory=dict)

    def drop(self, peer: Side, reason: str) -> None:
        """Leave out a peer that failed during its work."""
        self.peers.remove(peer)
        self.failed[peer.name] = reason

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each number of threads of nnth and each peer, or one without peers."""
        found_on = machine()
        rows = []
        for ours in self.ours:
            for peer in self.peers:
                rows.append(self._row(ours) | self._against(ours, peer) | found_on)
            for name, reason in (self.absent | self.failed).items():
                row = {"peer": name, "status": "failed" if name in self.failed else "absent"}
                rows.append(self._row(ours) | row | {"reason": reason} | found_on)
            if not (self.peers or self.absent or self.failed):
                rows.append(self._row(ours) | {"peer": "", "status": "alone"} | found_on)
        return rows

    def _row(self, ours: Side) -> dict[str, Any]:
        return {
            **dict.fromkeys(COLUMNS),
            "comparison": self.comparison,
            "case": self.case,
            "unit": self.unit,
            "nnth_threads": ours.threads,
            **spread("nnth_seconds", ours.seconds),
            "nnth_extra_mb": ours.extra_mb,
            "rounds": len(ours.seconds),
        }

    def _against(self, ours: Side, peer: Side) -> dict[str, Any]:
        differs = self.differences[peer.name]
        return {
            "peer": peer.name,
            "peer_version": peer.version,
            "peer_threads": peer.threads,
            **spread("peer_seconds", peer.seconds),
            "peer_extra_mb": peer.extra_mb,
            **spread("ratio", ratios(peer.seconds, ours.seconds)),
            "agreement": differs.value,
            "tolerance": differs.most,
            "compared": differs.of,
            "status": "agrees" if differs.agrees else "DIFFERS",
        }


COLUMNS = (
    *("comparison", "case", "unit", "peer", "peer_version", "status", "reason"),
    *("nnth_threads", "nnth_seconds", "nnth_seconds_low", "nnth_seconds_high", "nnth_extra_mb"),
    *("peer_threads", "peer_seconds", "peer_seconds_low", "peer_seconds_high", "peer_extra_mb"),
    *("ratio", "ratio_low", "ratio_high", "agreement", "tolerance", "compared", "rounds"),
)


def table(rows: Iterable[dict[str, Any]]) -> str:
    """Return rows as plain text: medians, ratios with their extremes, and agreement."""
    lines = [("case", "threads", "nnth", "peer", "threads", "peer's", "ratio", "answers")]
    for row in rows:
        case = f"{row['comparison']}: {row['case']}, {row['unit']}"
        line = (case, str(row["nnth_threads"]), duration(row["nnth_seconds"]), row["peer"] or "-")
        if row["ratio"] is None:
            lines.append((*line, "", "", "", f"{row['status']} {row['reason'] or ''}".strip()))
            continue
        ratio = f"{row['ratio']:.3g} ({row['ratio_low']:.3g} to {row['ratio_high']:.3g})"
        answer = f"{row['status']}: {row['compared']} {row['agreement']:.1g}"
        threads = str(row["peer_threads"] or "its own")
        lines.append((*line, threads, duration(row["peer_seconds"]), ratio, answer))
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def duration(seconds: float) -> str:
    """Return seconds with three digits, in a suitable unit."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def sound(rows: Iterable[dict[str, Any]]) -> bool:
    """Return whether no answer differs and no peer failed; a peer may be absent."""
    return not any(row["status"] in ("DIFFERS", "failed") for row in rows)


def finish(rows: list[dict[str, Any]], path: Path) -> None:
    """Print the table, save the rows, and end with 1 if an answer cannot be trusted."""
    print(table(rows))
    append(path, rows)
    if not sound(rows):
        sys.exit(1)
