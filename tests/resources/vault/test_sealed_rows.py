import io
import zlib
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ft_resources.vault.keys import Tampered, TenantKey, VaultError
from ft_resources.vault.sealed_rows import BATCH, Rows, Written, write_rows
from ft_resources.vault.store import KeyStore

TENANT = TenantKey("acme", b"k" * 32)
PLACE = "raw_logs/domain=finance/week=2026-09-07/rows.enc"


@pytest.fixture
def store(tmp_path):
    return KeyStore(tmp_path / "keys.db", TENANT)


def seal(store, rows, place=PLACE):
    out = io.BytesIO()
    written = write_rows(out, rows, store, place)
    return out.getvalue(), written


def unseal(store, data, place=PLACE):
    rows = Rows(io.BytesIO(data), store, place)
    return list(rows), rows.erased


def some_rows(number=7, users=3):
    return [
        ((f"user:u{n % users}",), {"event_id": f"e{n}", "user_id": f"u{n % users}", "n": n})
        for n in range(number)
    ]


@pytest.mark.parametrize("number", [0, 1, BATCH - 1, BATCH, BATCH + 1, 3 * BATCH])
def test_rows_come_back_in_order(store, number):
    rows = some_rows(number)
    data, written = seal(store, rows)
    assert written == Written(number, 0)
    assert unseal(store, data) == ([row for _, row in rows], 0)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


@settings(max_examples=40, deadline=None)
@given(rows=st.lists(st.dictionaries(st.text(max_size=8), JSON, max_size=4), max_size=5))
def test_any_json_comes_back(tmp_path_factory, rows):
    store = KeyStore(tmp_path_factory.mktemp("any") / "keys.db", TENANT)
    data, _ = seal(store, [(("user:a",), row) for row in rows])
    assert unseal(store, data) == (rows, 0)


def test_equal_rows_give_equal_bytes_wherever_they_are_written(store):
    data, _ = seal(store, some_rows())
    assert seal(KeyStore(store.file, TENANT), some_rows())[0] == data
    assert seal(store, some_rows(), "another/place")[0] != data


def test_nothing_can_be_read_without_the_keys(store):
    text = "Jane Doe, 4111 1111 1111 1111 " * 3
    data, _ = seal(store, [(("user:jane",), {"prompt": text, "user_id": "jane"})] * 3)
    for plain in (b"Jane", b"4111", b"jane", b"prompt", store.subject_id("user:jane")):
        assert plain not in data
        with pytest.raises(zlib.error):
            zlib.decompress(data, -15)


def test_a_subject_cannot_be_followed_from_object_to_object(store):
    """The same row of the same person, at two places, has no eight bytes in common."""
    one, other = (seal(store, some_rows(1), place)[0] for place in ("aaa", "bbb"))
    parts = [{d[at : at + 8] for at in range(frames(d)[0] + 4, frames(d)[1])} for d in (one, other)]
    assert not parts[0] & parts[1]


def test_a_destroyed_subject_is_gone_from_what_was_written_before(store):
    rows = some_rows(9)
    data, _ = seal(store, rows)
    store.destroy([store.subject_id("user:u1")])
    assert unseal(store, data) == ([row for _, row in rows if row["user_id"] != "u1"], 3)
    # Delivered again: counted, and not encrypted under a new key.
    again, written = seal(store, rows)
    assert written == Written(6, 3)
    assert unseal(store, again) == ([row for _, row in rows if row["user_id"] != "u1"], 0)


def test_a_row_of_two_people_needs_the_keys_of_both(store):
    row = {"prompt": "x"}
    data, _ = seal(store, [(("user:a", "reviewer:b"), row), (("reviewer:b",), row)])
    swapped, _ = seal(store, [(("reviewer:b", "user:a"), row), (("reviewer:b",), row)])
    assert data == swapped
    store.destroy([store.subject_id("user:a")])
    assert unseal(store, data) == ([row], 1)


def test_a_lost_key_is_not_taken_for_an_erasure(store, tmp_path):
    [first, second] = [seal(store, [((f"user:{n}",), {"n": n})])[0] for n in range(2)]
    store.backup(tmp_path / "old.db")
    third, _ = seal(store, [(("user:new",), {})])
    old = KeyStore(tmp_path / "old.db", TENANT)
    assert unseal(old, first) == ([{"n": 0}], 0)
    assert unseal(old, second) == ([{"n": 1}], 0)
    with pytest.raises(VaultError, match="older than the data"):
        unseal(old, third)


def test_another_vault_is_told_apart(store, tmp_path):
    data, _ = seal(store, some_rows())
    with pytest.raises(VaultError, match="another vault"):
        unseal(KeyStore(tmp_path / "other" / "keys.db", TENANT), data)


def test_rotation_of_the_tenant_key_leaves_the_rows_alone(store):
    data, _ = seal(store, some_rows())
    store.rewrap(TenantKey("acme", b"n" * 32))
    assert seal(store, some_rows())[0] == data
    assert unseal(store, data)[1] == 0


def frames(data):
    """Where the rows of an object begin and end."""
    at = 10 + int.from_bytes(data[8:10]) + 16
    places = [at]
    while length := int.from_bytes(data[at : at + 4]):
        at += 4 + length
        places.append(at)
    return places


def without_a_row(data):
    places = frames(data)
    return data[: places[1]] + data[places[2] :]


def swapped(data):
    p = frames(data)
    return data[: p[0]] + data[p[1] : p[2]] + data[p[0] : p[1]] + data[p[2] :]


def repeated(data):
    p = frames(data)
    return data[: p[1]] + data[p[0] : p[1]] + data[p[1] :]


@pytest.mark.parametrize(
    "change",
    [
        *(without_a_row, swapped, repeated),
        *(lambda d: d + b"x", lambda d: d[:-1], lambda d: b"", lambda d: b"x" * 99),
    ],
    ids=["taken out", "swapped", "repeated", "longer", "shorter", "empty", "other"],
)
def test_an_object_that_was_changed_is_refused(store, change):
    data, _ = seal(store, some_rows())
    with pytest.raises(Tampered):
        unseal(store, change(data))


def test_every_single_bit_counts(store):
    data, _ = seal(store, some_rows(2))
    for at in range(len(data)):
        with pytest.raises(VaultError):
            unseal(store, data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])


def test_an_object_opens_at_its_own_place_alone(store):
    data, _ = seal(store, some_rows())
    with pytest.raises(Tampered, match="another place"):
        unseal(store, data, PLACE.replace("09-07", "09-14"))


def test_ten_thousand_rows_of_one_subject_share_no_nonce(store):
    data, _ = seal(store, (((("user:a",)), {"n": n}) for n in range(10_000)))
    nonces = {data[start + 21 : start + 33] for start, _ in pairwise(frames(data))}
    assert len(nonces) == 10_000


class Counting(io.RawIOBase):
    """Takes bytes and forgets them."""

    def __init__(self):
        self.size = 0

    def writable(self):
        return True

    def write(self, data):
        self.size += len(data)
        return len(data)


def test_writing_holds_a_batch_not_the_object(store):
    """Rows are asked for as they are written: never more than a batch ahead."""
    out, ahead = Counting(), []

    def rows():
        for n in range(4 * BATCH):
            if n % BATCH == 0:
                ahead.append((n, out.size))
            yield ("user:a",), {"n": n}

    write_rows(out, rows(), store, PLACE)
    sizes = [size for _, size in ahead]
    assert sizes == sorted(set(sizes))
    assert sizes[2] > sizes[1] > sizes[0] > 0
