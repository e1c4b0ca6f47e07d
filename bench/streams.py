"""Streamed answers of a model that takes its time: what is added to its first token, and how many fare at once.

Bare and Ragstone ask the same scripted model.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, cycle, islice

from bench.figures import Figure, against_bare
from bench.metrics import percentile
from bench.server import Server
from bench.stream_servers import Servers
from bench.waves import Wave, run_wave

ADDED_LIMIT, CROWD_LIMIT = 1.5, 8.0
FIRST_TOKEN_S, TOKENS_PER_S = 0.2, 40.0
CROWDS = (1, 10, 100)


@dataclass(frozen=True, slots=True)
class Plan:
    """How much to do: `rounds` of so many first tokens, `waves` of each crowd, streamed `answers` for the memory."""

    documents: int = 12
    rounds: int = 6
    first_tokens: int = 10
    waves: int = 4
    answers: int = 500


@dataclass(frozen=True, slots=True)
class Firsts:
    """First tokens of one round, in milliseconds: as the client has them, and what of that is not the model's."""

    seen_ms: Sequence[float]
    added_ms: Sequence[float]


async def measure_first_token(servers: Servers, plan: Plan) -> tuple[list[Figure], float]:
    """One client; and Ragstone's p95 of the first token in milliseconds."""
    await servers.set_pace(tokens=4, first_token_s=FIRST_TOKEN_S, tokens_per_s=TOKENS_PER_S)
    floor, ours = [], []
    for server in (servers.bare, servers.ragstone):
        await _firsts(servers, server, plan.first_tokens)
    for _ in range(plan.rounds):
        floor.append(await _firsts(servers, servers.bare, plan.first_tokens))
        ours.append(await _firsts(servers, servers.ragstone, plan.first_tokens))
    figures = [
        against_bare(
            "first token × 1, ms added to the model's, p50",
            [percentile(each.added_ms, 50) for each in ours],
            [percentile(each.added_ms, 50) for each in floor],
            at_most=ADDED_LIMIT,
        ),
        against_bare(
            "first token × 1, ms added to the model's, p95",
            [_p95(each.added_ms for each in ours)],
            [_p95(each.added_ms for each in floor)],
            at_most=ADDED_LIMIT,
        ),
    ]
    alone_ms = _p95(each.seen_ms for each in ours)
    return [
        *figures,
        against_bare("first token × 1, p95 ms", [alone_ms], [_p95(each.seen_ms for each in floor)]),
    ], alone_ms


async def _firsts(servers: Servers, server: Server, count: int) -> Firsts:
    """Raises UnexpectedStatus, also for an answer that is not the model's."""
    await servers.take_log()
    seen = []
    for request in islice(cycle(servers.requests(server)), count):
        [stream] = (await run_wave(server, [request])).streams
        stream.require_whole()
        seen.append(stream.first_token_s)
    models = (await servers.take_log())["first_token_s"]
    added = [(whole - model) * 1000 for whole, model in zip(seen, models, strict=True)]
    return Firsts([whole * 1000 for whole in seen], added)


async def measure_crowds(servers: Servers, plan: Plan, alone_ms: float) -> list[Figure]:
    """Waves of both servers alternating; `alone_ms` is Ragstone's p95 of one stream's first token."""
    await servers.set_pace(tokens=80, first_token_s=FIRST_TOKEN_S, tokens_per_s=TOKENS_PER_S)
    figures: list[Figure] = []
    for crowd in CROWDS:
        floor, ours = await _waves(servers, crowd, plan.waves)
        figures += _crowd_figures(crowd, ours, floor)
    crowded_ms = _p95(wave.first_ms for wave in ours)
    ratio = crowded_ms / alone_ms
    name = f"first token × {crowd}, p95 ms over {alone_ms:.0f} of one stream"
    return [*figures, Figure(name, crowded_ms, None, ratio, f"≤ {CROWD_LIMIT:g} ×", ratio <= CROWD_LIMIT)]


async def _waves(servers: Servers, crowd: int, count: int) -> tuple[list[Wave], list[Wave]]:
    """The first one of each, which opens connections, does not count."""
    floor: list[Wave] = []
    ours: list[Wave] = []
    for _ in range(1 + count):
        for server, waves in ((servers.bare, floor), (servers.ragstone, ours)):
            waves.append(await run_wave(server, list(islice(cycle(servers.requests(server)), crowd))))
    return floor[1:], ours[1:]


def _crowd_figures(crowd: int, ours: Sequence[Wave], floor: Sequence[Wave]) -> list[Figure]:
    label = f"streams × {crowd}"
    errors, floor_errors = sum(wave.errors for wave in ours), sum(wave.errors for wave in floor)
    figures = [
        against_bare(
            f"{label}, p95 ms between tokens",
            [_p95(wave.gaps_ms for wave in ours)],
            [_p95(wave.gaps_ms for wave in floor)],
        ),
        against_bare(
            f"{label}, whole answers a second",
            [wave.per_second for wave in ours],
            [wave.per_second for wave in floor],
        ),
        Figure(f"{label}, errors", errors, floor_errors, target="0", is_met=errors == 0),
    ]
    return (
        figures if crowd == 1 else [*_first_figures(label, ours, floor), *figures, *_cpu(label, ours, floor)]
    )


def _first_figures(label: str, ours: Sequence[Wave], floor: Sequence[Wave]) -> list[Figure]:
    return [
        against_bare(
            f"{label}, first token, p50 ms",
            [percentile(wave.first_ms, 50) for wave in ours],
            [percentile(wave.first_ms, 50) for wave in floor],
        ),
        against_bare(
            f"{label}, first token, p95 ms",
            [_p95(wave.first_ms for wave in ours)],
            [_p95(wave.first_ms for wave in floor)],
        ),
    ]


def _cpu(label: str, ours: Sequence[Wave], floor: Sequence[Wave]) -> list[Figure]:
    return [
        against_bare(
            f"{label}, CPU s per 1,000 tokens",
            [1000 * wave.cpu_s / wave.tokens for wave in ours],
            [1000 * wave.cpu_s / wave.tokens for wave in floor],
        ),
        against_bare(
            f"{label}, CPU s per 1,000 tokens once all have begun",
            [_streaming_cpu(ours)],
            [_streaming_cpu(floor)],
        ),
    ]


def _streaming_cpu(waves: Sequence[Wave]) -> float:
    """Over all waves: a single one takes few of the clock's ticks."""
    return 1000 * sum(wave.streaming_cpu_s for wave in waves) / sum(wave.streaming_tokens for wave in waves)


def _p95(parts: Iterable[Sequence[float]]) -> float:
    """Over all rounds or waves: a single one has too few values."""
    return percentile([*chain.from_iterable(parts)], 95)
