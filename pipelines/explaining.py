"""Why a record has its label: its votes, what each added, and where all of it came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from labelmill.dataset import SOURCE
from labelmill.errors import CorruptFileError
from labelmill.manifest import Manifest
from labelmill.recordlookup import RecordPlace, find_record
from labelmill.sources import FunctionSource, read_sources
from labelmill.store import Store
from labelmill.versionchanges import quarantined_functions
from labelmill.versions import read_manifest
from labelmill.votes import lf_table, unpack_votes
from labelmodel.arrays import FloatArray
from labelmodel.errors import ParametersError
from labelmodel.explain import explain_votes
from labelmodel.parameters import read_model
from labelmodel.staged import StagedModel

ROUNDING = 1e-6
"""How far a stored confidence, which is a float32, may be from the model's answer."""

Terms = dict[str, float]
"""By class, what is added to the logarithm of its probability; each sums to zero."""


@dataclass(frozen=True)
class ExplainedVote:
    """A vote on the record.

    Attributes:
        function: Who voted.
        label: For what.
        used: Whether the vote counted; False where the function failed too often.
        terms: What the vote added; None when it did not count.
        kind: Kind of the function.
        fingerprint: Fingerprint of the function.
        source: Its definition; None where it is not stored.
    """

    function: str
    label: str
    used: bool
    terms: Terms | None
    kind: str
    fingerprint: str
    source: FunctionSource | None


@dataclass(frozen=True)
class Lineage:
    """Where a label came from.

    Attributes:
        file: The corpus file.
        unit: What `start` and `stop` count: ``bytes`` or ``row groups``.
        start: First of them that the shard holds.
        stop: The one after the last.
        row: 0-based number of the record among the readable ones of the shard.
        file_fingerprint: Fingerprint of the corpus file.
        shard: Id of the shard.
        files: Stored files that were made of the shard, by kind.
    """

    file: str
    unit: str
    start: int
    stop: int
    row: int
    file_fingerprint: str
    shard: str
    files: Mapping[str, str]


@dataclass(frozen=True)
class Explanation:
    """Why a record has its label.

    Prior, votes, abstain and adjustment add up: their sum's softmax is the posterior.

    Attributes:
        id: The record.
        label: Its label.
        confidence: The label's probability as it was published.
        covered: Whether a vote counted.
        votes: All votes, in the order of the LF table.
        prior: The class balance; without votes, the answer for such records.
        abstain: What all functions that did not vote add together.
        adjustment: What the model's last step adds, see `labelmodel.explain.VoteLogOdds`.
        posterior: By class, the model's answer.
        lineage: Where it came from.
        origin: ``votes``; ``assisted`` where a classifier's answer was multiplied with the label
            model's; ``model`` where it stands for votes that there are none of.
    """

    id: str
    label: str
    confidence: float
    covered: bool
    votes: tuple[ExplainedVote, ...]
    prior: Terms
    abstain: Terms
    adjustment: Terms
    posterior: Mapping[str, float]
    lineage: Lineage
    origin: str = "votes"


@dataclass(frozen=True)
class ExplainedRecord:
    """All records of one id in a version, mostly one.

    Attributes:
        version: The version.
        started: When its run started.
        run_id: The run.
        job: The job's name.
        model: Name of the label model.
        model_digest: Digest of its parameters.
        fallback: Why majority vote was used in the model's place; None when it was not.
        code: Stored file with the modules of all functions; None where it is not stored.
        records: An explanation of each.
    """

    version: int
    started: str | None
    run_id: str | None
    job: str
    model: str
    model_digest: str
    fallback: str | None
    code: str | None
    records: tuple[Explanation, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


def explain(store: Store, record_id: str, version: int | None = None) -> ExplainedRecord:
    """Explain the label of a record.

    Args:
        store: The data set.
        record_id: The record.
        version: The version; by default the current one.

    Raises:
        VersionNotFoundError: There is no such version.
        RecordNotFoundError: It has no such record.
        CorruptFileError: A file that has to be read is damaged.
    """
    manifest = read_manifest(store, version)
    places = find_record(store, manifest, record_id)
    model = _model_of(store, manifest)
    sources = read_sources(store, manifest)
    summary = manifest.summary["model"]
    return ExplainedRecord(
        version=manifest.version,
        started=manifest.run.get("started"),
        run_id=manifest.run.get("id"),
        job=manifest.name,
        model=summary["name"],
        model_digest=manifest.model_digest,
        fallback=summary["fallback"],
        code=next((file.path for file in manifest.files_of("code")), None),
        records=tuple(_explanation(place, manifest, model, sources) for place in places),
    )


def explain_places(
    store: Store, manifest: Manifest, places: Sequence[RecordPlace]
) -> tuple[Explanation, ...]:
    """Explain the labels of records of a version that were found already.

    Raises:
        CorruptFileError: The model is damaged, or does not fit the labels.
    """
    model = _model_of(store, manifest)
    return tuple(_explanation(place, manifest, model, {}) for place in places)


def _model_of(store: Store, manifest: Manifest) -> StagedModel[Any]:
    (file,) = manifest.files_of("model")
    store.verify(file.stored_file)
    try:
        model = read_model(store.get(file.path).decode())[0]
    except ParametersError as error:
        raise CorruptFileError(f"{store.uri}/{file.path}: {error}") from error
    if not isinstance(model, StagedModel):
        raise CorruptFileError(f"{store.uri}/{file.path} is no model that a job fits")
    return model


def _explanation(
    place: RecordPlace,
    manifest: Manifest,
    model: StagedModel[Any],
    sources: Mapping[str, FunctionSource],
) -> Explanation:
    table = lf_table(place.votes.schema)
    every = unpack_votes(place.votes)
    quarantined = quarantined_functions(manifest)
    used = every.without([table.names.index(name) for name in quarantined])
    found = explain_votes(model, used.lfs, used.labels)
    terms = {
        table.names[lf]: _by_class(manifest, row)
        for lf, row in zip(found.lfs, found.votes, strict=True)
    }
    votes = tuple(
        ExplainedVote(
            function=table.names[lf],
            label=table.class_names[label],
            used=table.names[lf] in terms,
            terms=terms.get(table.names[lf]),
            kind=table.lfs[lf].kind,
            fingerprint=table.lfs[lf].fingerprint,
            source=sources.get(table.names[lf]),
        )
        for lf, label in zip(every.lfs, every.labels, strict=True)
    )
    (labels,) = place.labels.to_pylist()
    posterior = _by_class(manifest, found.posterior)
    origin = labels.get(SOURCE) or "votes"
    if origin == "votes" and abs(posterior[labels["label"]] - labels["confidence"]) > ROUNDING:
        raise CorruptFileError(
            f"record {labels['id']!r} was published as {labels['label']!r} with "
            f"{labels['confidence']:.6f}, but model {manifest.model_digest} makes "
            f"{posterior[labels['label']]:.6f} of its votes; run `labelmill verify`"
        )
    return Explanation(
        id=labels["id"],
        label=labels["label"],
        confidence=labels["confidence"],
        covered=labels["covered"],
        votes=votes,
        prior=_by_class(manifest, found.prior),
        abstain=_by_class(manifest, found.abstain),
        adjustment=_by_class(manifest, found.adjustment),
        posterior=posterior,
        lineage=_lineage(place),
        origin=origin,
    )


def _by_class(manifest: Manifest, values: FloatArray) -> Terms:
    return dict(zip(manifest.class_names, values.tolist(), strict=True))


def _lineage(place: RecordPlace) -> Lineage:
    shard = place.shard
    return Lineage(
        file=shard.uri,
        unit="row groups" if shard.format == "parquet" else "bytes",
        start=shard.start,
        stop=shard.stop,
        row=place.row,
        file_fingerprint=shard.fingerprint,
        shard=shard.id,
        files={file.kind: file.path for file in place.files},
    )
