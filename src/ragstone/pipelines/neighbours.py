"""Sources with what stands around them: the chunks before and behind, as one passage of the same document."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ragstone.core.models import Part, Scope, Source, StoredPoint
from ragstone.core.ports import VectorStore
from ragstone.pipelines.feature_cache import FeatureCache
from ragstone.pipelines.features import NOTHING, Packed
from ragstone.pipelines.payload import location_of, point_id, sentences_of


async def widen(
    store: VectorStore, cache: FeatureCache, scope: Scope, sources: Sequence[Source], *, around: int
) -> list[Source]:
    """Each source with up to `around` chunks on either side. A chunk goes to the best source that wants it, and one
    that is a source itself to no other, so that nothing is said twice. `text` remains `[start:end]` of the document's
    text: a gap that is not white space is not bridged, nor the end of a sheet or slide."""
    own = {_place(source) for source in sources}
    wanted = {
        (document, version, index + step)
        for document, version, index in own
        for step in range(-around, around + 1)
        if index + step >= 0
    }
    ids = {place: point_id(*place) for place in sorted(wanted)}
    points = {point.id: point for point in await store.retrieve(scope, list(ids.values()))}
    features = await cache.read(scope, list(points)) if any(each.sentences for each in sources) else {}
    free = {place: points[id_] for place, id_ in ids.items() if id_ in points and place not in own}
    widened = []
    for source in sources:
        me = points.get(source.chunk_id)
        chain = [] if me is None else _chain(free, _place(source), me, around)
        widened.append(_merged(source, chain, features) if len(chain) > 1 else source)
    return widened


def _place(source: Source) -> tuple[str, int, int]:
    return source.document_id, source.version, source.index


def _chain(
    free: dict[tuple[str, int, int], StoredPoint], place: tuple[str, int, int], me: StoredPoint, around: int
) -> list[StoredPoint]:
    """The chunk and those that it takes from `free`, in reading order."""
    document, version, index = place
    chain = [me]
    for step in range(1, around + 1):
        before = free.get((document, version, index - step))
        if before is None or chain[0].payload.get("gap") is None or not _same_place(before, me):
            break
        chain.insert(0, free.pop((document, version, index - step)))
    for step in range(1, around + 1):
        behind = free.get((document, version, index + step))
        if behind is None or behind.payload.get("gap") is None or not _same_place(behind, me):
            break
        chain.append(free.pop((document, version, index + step)))
    return chain


def _same_place(one: StoredPoint, other: StoredPoint) -> bool:
    """Neither another sheet nor another slide."""
    a, b = location_of(one.payload), location_of(other.payload)
    return (a.sheet, a.slide) == (b.sheet, b.slide)


def _merged(source: Source, chain: Sequence[StoredPoint], features: Mapping[str, Packed]) -> Source:
    first, *others = (point.payload for point in chain)
    text = first["text"] + "".join(payload["gap"] + payload["text"] for payload in others)
    sentences = [
        sentence
        for point in chain
        for sentence in sentences_of(point.payload, features.get(point.id, NOTHING))
    ]
    return replace(
        source,
        start=first["start"],
        end=chain[-1].payload["end"],
        text=text,
        location=location_of(first).through(location_of(chain[-1].payload)),
        sentences=tuple(sentences) if source.sentences else (),
        parts=tuple(_part(point) for point in chain),
    )


def _part(point: StoredPoint) -> Part:
    payload = point.payload
    return Part(
        point.id, payload["start"], payload["end"], tuple(payload.get("heading", ())), location_of(payload)
    )
