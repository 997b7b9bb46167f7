"""Signed from the box to the store: real Mosquitto with TLS, real publisher, real ingest."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import msgspec
import pytest
from msgspec import structs

from collector.config import Config as CollectorConfig
from collector.config import ReceiptConfig
from collector.ingest.pipeline import IngestPipeline
from collector.store.messages import EpochKey, SignatureOutcome
from collector.store.records import StoredSignature
from collector.store.sqlite import SqliteStore
from collector.store.store import Store
from deploy.authority import authority
from probe import clock, config
from probe.deliver.publisher import Publisher
from runtime.broker import BrokerConfig
from runtime.signing_certificate import SigningCertificate
from tests import samples
from tests.client import Client, eventually
from tests.secured_broker import COLLECTOR, ROOT, TENANT, WAIT_S, Scene, scene, why_not
from tests.unit.test_config import GOOD
from wire.result import Validity, encode_result
from wire.signature import (
    CHAIN_START,
    RecordDigest,
    all_digests,
    block_digest,
    record_digest,
    signed_text,
)

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))
PROBE = config.parse(GOOD.encode(), "probe.toml").probe


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with scene(tmp_path_factory.mktemp("scene")) as ready:
        yield ready


@contextmanager
def centre(stage: Scene, path: Path) -> Iterator[Store]:
    """The real ingest on a store."""
    store = SqliteStore(path)
    ingest = IngestPipeline(
        CollectorConfig(
            broker=stage.broker.by_password(COLLECTOR),
            tenant=TENANT,
            receipts=ReceiptConfig(min_gap_s=0.0),
        ),
        store,
        lambda: None,
    )
    thread = threading.Thread(target=ingest.run)
    thread.start()
    try:
        yield store
    finally:
        ingest.stop()
        thread.join(WAIT_S)
        store.close()


@contextmanager
def box(broker: BrokerConfig, outbox: Path) -> Iterator[Publisher]:
    """The real publisher of an office."""
    office = structs.replace(
        config.parse(GOOD.encode(), "probe.toml"),
        broker=broker,
        delivery=config.DeliveryConfig(clock_wait_s=0.0, resend_after_s=5.0),
    )
    publisher = Publisher(office, outbox, lambda _: None, samples.info_of, samples.health_of)
    publisher.start()
    try:
        yield publisher
    finally:
        publisher.stop()


def submit(publisher: Publisher, count: int) -> None:
    for at in range(count):
        publisher.submit(samples.latency(rtt_ms=10.0 + at))
        if at % 5 == 0:
            publisher.submit(samples.dns())
    assert publisher.wait_delivered(WAIT_S, threading.Event())


def signatures(store: Store) -> list[StoredSignature]:
    keys = {EpochKey(one.tenant, one.probe, one.epoch) for one in store.results_after(0, 1_000)}
    return [one for key in sorted(keys) for one in store.signatures(key, 1, 10_000)]


def certificate(path: Path) -> SigningCertificate:
    lines = path.read_text(encoding="ascii").splitlines()[1:-1]
    return SigningCertificate(base64.b64decode("".join(lines)))


def verified_texts(store: Store, of: Callable[[str], SigningCertificate]) -> list[bytes]:
    """The signed text of every block, each verified by the certificate of its key."""
    bodies = {(one.epoch, one.seq): one.body for one in store.results_after(0, 1_000)}
    texts = []
    for one in signatures(store):
        block = structs.replace(
            one.block, digests=[RecordDigest(*each) for each in one.digests.items()]
        )
        carried = {
            seq: record_digest(body)
            for (epoch, seq), body in bodies.items()
            if epoch == one.epoch.epoch
        }
        digests = all_digests(block, carried)
        assert digests is not None
        text = signed_text(*one.epoch, block.first, block.previous, digests)
        assert of(block.key).verifies(text, block.signature)
        texts.append(text)
    return texts


def test_all_that_a_box_with_a_certificate_sends_is_signed_and_one_chain(
    stage: Scene, tmp_path: Path
) -> None:
    broker = stage.broker.by_certificate(stage.probe)
    with centre(stage, tmp_path / "one.sqlite") as store, box(broker, tmp_path / "o") as publisher:
        submit(publisher, 30)
        submit(publisher, 10)
        found = signatures(store)
        assert {one.outcome for one in found} == {SignatureOutcome.CHECKED}
        numbers = [seq for one in found for seq in one.block.seqs]
        assert numbers == list(range(1, store.totals().results + 1))
        previous = CHAIN_START
        for one, text in zip(
            found,
            verified_texts(store, lambda _: certificate(stage.probe.certificate)),
            strict=True,
        ):
            assert one.block.previous == previous
            previous = block_digest(text)
    # A centre that has lost its store gets the same signatures.
    with centre(stage, tmp_path / "two.sqlite") as store, box(broker, tmp_path / "o") as publisher:
        eventually(lambda: store.totals().results == len(numbers), "all of it again", WAIT_S)
        again = signatures(store)
        assert [one.block for one in again] == [one.block for one in found]
        assert {one.outcome for one in again} == {SignatureOutcome.CHECKED}


def test_a_renewed_key_signs_from_the_next_connection_on(tmp_path: Path) -> None:
    with scene(tmp_path / "scene") as stage:
        _renew_while_it_runs(stage, tmp_path)


def _renew_while_it_runs(stage: Scene, tmp_path: Path) -> None:
    files = [tmp_path / "probe.pem", tmp_path / "probe.key"]
    _install(files, stage.probe)
    broker = structs.replace(
        stage.broker.by_certificate(stage.probe),
        certificate_file=str(files[0]),
        key_file=str(files[1]),
    )
    known = {one.key: one for one in [certificate(files[0])]}
    with centre(stage, tmp_path / "one.sqlite") as store, box(broker, tmp_path / "o") as publisher:
        submit(publisher, 3)
        new_key, request = tmp_path / "renewed.key", tmp_path / "renewed.csr"
        authority.request(new_key, request, PROBE, None)
        renewed = stage.office.authority.renew(request.read_bytes(), clock.utc_now())
        _install(files, (renewed, new_key))
        known |= {one.key: one for one in [certificate(files[0])]}
        stage.broker.stop()
        stage.broker.start()
        eventually(lambda: _is_renewed(publisher, store, known), "the renewed key", WAIT_S)
        verified_texts(store, lambda key: known[key])
        assert {one.outcome for one in signatures(store)} == {SignatureOutcome.CHECKED}


def _install(files: Sequence[Path], sources: Sequence[Path]) -> None:
    for file, source in zip(files, sources, strict=True):
        file.write_bytes(source.read_bytes())
        file.chmod(0o600)


def _is_renewed(publisher: Publisher, store: Store, known: dict[str, SigningCertificate]) -> bool:
    publisher.submit(samples.latency())
    assert publisher.wait_delivered(WAIT_S, threading.Event())
    return {one.block.key for one in signatures(store)} == known.keys()


def test_a_box_with_a_password_is_taken_in_unsigned(stage: Scene, tmp_path: Path) -> None:
    broker = stage.broker.as_probe(stage.probe, transport="websockets")
    if broker.certificate_file is not None:
        pytest.skip("Mosquitto 2.1 takes certificates here")
    with centre(stage, tmp_path / "one.sqlite") as store, box(broker, tmp_path / "o") as publisher:
        submit(publisher, 3)
        assert store.totals().results == 4
        assert signatures(store) == []


def test_what_was_changed_on_its_way_is_flagged_and_kept(stage: Scene, tmp_path: Path) -> None:
    """Somebody who can publish for the box changes a figure of what it has signed."""
    topic = f"{ROOT}/{PROBE}/m/latency"
    broker = stage.broker.by_certificate(stage.probe)
    seen: list[bytes] = []
    with Client(
        stage.broker.by_password("reader.vnpt"), "x", subscriptions=[f"{ROOT}/+/m/latency"]
    ) as reader:
        with centre(stage, tmp_path / "one.sqlite"), box(broker, tmp_path / "o") as publisher:
            submit(publisher, 1)
        seen.append(reader.wait_for(lambda message: b'"signatures"' in message.payload).payload)
    changed = seen[0].replace(b'"received":60', b'"received":59', 1)
    assert changed != seen[0]
    with centre(stage, tmp_path / "two.sqlite") as store:
        # The box says once more which certificate it has, and sends nothing: its outbox is new.
        with box(broker, tmp_path / "new") as publisher:
            submit(publisher, 1)
        with Client(broker, PROBE) as intruder:
            intruder.publish(topic, changed)
        epoch = msgspec.json.decode(changed)["epoch"]
        key = EpochKey(TENANT, PROBE, UUID(epoch))
        eventually(lambda: len(store.signatures(key, 1, 10)) == 1, "the changed result", WAIT_S)
        (found,) = store.signatures(key, 1, 10)
        assert found.outcome is SignatureOutcome.MISMATCH
        (stored,) = [one for one in store.results_after(0, 100) if one.epoch == key.epoch]
        assert Validity.SIGNATURE_MISMATCH.encode() in stored.body
        assert found.sent[stored.seq] != encode_result(samples.latency(rtt_ms=10.0))
        assert found.sent[stored.seq] in changed
