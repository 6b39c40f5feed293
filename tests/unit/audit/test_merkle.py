"""RFC 6962 hashing against the vectors of Certificate Transparency, and proofs that are refused."""

from __future__ import annotations

from hashlib import sha256

import pytest

from domain.audit.errors import Malformed, NotProven
from domain.audit.lexical import SIZE_MAX
from domain.audit.merkle import (
    EMPTY_ROOT,
    PROOF_HASHES_MAX,
    Frontier,
    leaf_hash,
    node_hash,
    verify_consistency,
    verify_inclusion,
)
from tests.unit.audit.logs import leaves, naive_root, tree

# The inputs, roots and paths that the test suites of Certificate Transparency logs have used since RFC 6962.
CT_LEAVES = [
    leaf_hash(bytes.fromhex(each))
    for each in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
CT_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
CT_INCLUSION = {
    (0, 1): [],
    (0, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (5, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
    (1, 5): [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
CT_CONSISTENCY = {
    (1, 1): [],
    (1, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 5): [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}


def unhexed(hashes: list[str]) -> tuple[bytes, ...]:
    return tuple(map(bytes.fromhex, hashes))


def test_the_roots_of_certificate_transparency_are_reached() -> None:
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    for size, root in enumerate(CT_ROOTS, 1):
        assert Frontier().extended(CT_LEAVES[:size]).root().hex() == root
        assert tree(CT_LEAVES[:size]).root().hex() == root


@pytest.mark.parametrize(("place", "path"), CT_INCLUSION.items())
def test_the_inclusion_paths_of_certificate_transparency(place: tuple[int, int], path: list[str]) -> None:
    index, size = place

    assert tree(CT_LEAVES[:size]).inclusion(index) == unhexed(path)
    verify_inclusion(
        CT_LEAVES[index],
        index=index,
        size=size,
        proof=unhexed(path),
        root=bytes.fromhex(CT_ROOTS[size - 1]),
    )


@pytest.mark.parametrize(("sizes", "path"), CT_CONSISTENCY.items())
def test_the_consistency_paths_of_certificate_transparency(sizes: tuple[int, int], path: list[str]) -> None:
    old, new = sizes

    assert tree(CT_LEAVES[:new]).consistency(old) == unhexed(path)
    verify_consistency(
        old_size=old,
        old_root=bytes.fromhex(CT_ROOTS[old - 1]),
        size=new,
        root=bytes.fromhex(CT_ROOTS[new - 1]),
        proof=unhexed(path),
    )


def test_the_frontier_has_the_root_of_every_size_as_it_grows() -> None:
    hashes, frontier = leaves(301), Frontier()

    for size in range(301):
        assert frontier.size == size
        assert frontier.root() == naive_root(hashes[:size])
        frontier = frontier.extended([hashes[size]])
    assert frontier == Frontier().extended(hashes)


def test_a_frontier_that_does_not_fit_its_size_is_refused() -> None:
    with pytest.raises(Malformed, match="2 peaks"):
        Frontier(3, (EMPTY_ROOT,))
    with pytest.raises(Malformed, match="32 bytes"):
        Frontier(1, (b"short",))
    for size in (-1, SIZE_MAX + 1):
        with pytest.raises(Malformed, match="leaves"):
            Frontier(size, ())
    full = Frontier(SIZE_MAX, (EMPTY_ROOT,) * 63)
    with pytest.raises(Malformed, match="leaves"):
        full.extended([EMPTY_ROOT])
    with pytest.raises(Malformed, match="32 bytes"):
        Frontier().extended([b"short"])


def test_leaves_and_nodes_cannot_be_taken_for_each_other() -> None:
    left, right = leaves(2)

    assert node_hash(left, right) != leaf_hash(left + right) != sha256(left + right).digest()


@pytest.mark.parametrize(
    ("index", "size"), [(-1, 8), (8, 8), (9, 8), (0, 0), (5, SIZE_MAX + 1), (2**80, 2**81)]
)
def test_an_index_outside_the_tree_proves_nothing(index: int, size: int) -> None:
    with pytest.raises(NotProven, match="outside"):
        verify_inclusion(EMPTY_ROOT, index=index, size=size, proof=(), root=EMPTY_ROOT)


def test_a_proof_of_another_length_or_place_proves_nothing() -> None:
    hashes = leaves(13)
    root, proof = naive_root(hashes), tree(hashes).inclusion(5)

    def refused(
        match: str, *, leaf: bytes = hashes[5], index: int = 5, size: int = 13, by: tuple[bytes, ...]
    ) -> None:
        with pytest.raises(NotProven, match=match):
            verify_inclusion(leaf, index=index, size=size, proof=by, root=root)

    verify_inclusion(hashes[5], index=5, size=13, proof=proof, root=root)
    refused("shorter", by=proof[:-1])
    refused("longer", by=(*proof, EMPTY_ROOT))
    refused("index 4", index=4, by=proof)
    refused("does not lead", leaf=hashes[4], by=proof)
    refused("does not lead", by=(proof[1], proof[0], *proof[2:]))
    refused("shorter|longer|does not lead", size=17, by=proof)
    refused("shorter", by=())


def test_growth_that_is_none_proves_nothing() -> None:
    hashes = leaves(13)
    old_root, root = naive_root(hashes[:6]), naive_root(hashes)
    proof = tree(hashes).consistency(6)

    def refused(
        match: str, *, old: int = 6, new: int = 13, start: bytes = old_root, by: tuple[bytes, ...]
    ) -> None:
        with pytest.raises(NotProven, match=match):
            verify_consistency(old_size=old, old_root=start, size=new, root=root, proof=by)

    verify_consistency(old_size=6, old_root=old_root, size=13, root=root, proof=proof)
    refused("shorter", by=proof[:-1])
    refused("longer", by=(*proof, EMPTY_ROOT))
    refused("root of 6", start=naive_root(hashes[1:7]), by=proof)
    refused("root of", by=(proof[0], proof[0], *proof[2:]))
    refused("cannot begin", old=14, by=proof)
    refused("cannot begin", old=-1, by=proof)
    refused("cannot begin", new=SIZE_MAX + 1, by=proof)
    refused("is empty", by=())
    refused("nothing to prove", old=13, start=root, by=proof)
    refused("two different roots", old=13, by=())
    refused("nothing to prove", old=0, start=EMPTY_ROOT, by=proof)
    refused("SHA-256 of nothing", old=0, by=())


def test_a_tree_begins_with_the_empty_one_and_with_itself() -> None:
    root = naive_root(leaves(5))

    verify_consistency(old_size=0, old_root=EMPTY_ROOT, size=5, root=root, proof=())
    verify_consistency(old_size=5, old_root=root, size=5, root=root, proof=())
    verify_consistency(old_size=0, old_root=EMPTY_ROOT, size=0, root=EMPTY_ROOT, proof=())


def test_a_proof_has_a_bounded_number_of_whole_hashes() -> None:
    # As long as allowed, it is read and found not to fit; longer, or with a short hash, it is not read.
    at_the_limit = (EMPTY_ROOT,) * PROOF_HASHES_MAX
    with pytest.raises(NotProven, match="longer"):
        verify_inclusion(EMPTY_ROOT, index=0, size=8, proof=at_the_limit, root=EMPTY_ROOT)
    with pytest.raises(NotProven, match="longer"):
        verify_consistency(old_size=3, old_root=EMPTY_ROOT, size=8, root=EMPTY_ROOT, proof=at_the_limit)

    for proof in ((*at_the_limit, EMPTY_ROOT), (b"\x00" * 31,), (b"\x00" * 33,)):
        with pytest.raises(Malformed, match="proof"):
            verify_inclusion(EMPTY_ROOT, index=0, size=8, proof=proof, root=EMPTY_ROOT)
        with pytest.raises(Malformed, match="proof"):
            verify_consistency(old_size=3, old_root=EMPTY_ROOT, size=8, root=EMPTY_ROOT, proof=proof)
