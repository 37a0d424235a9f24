"""What an archive came to, and the ledger of its bits."""

from __future__ import annotations

from dataclasses import dataclass, field

from diffcodec.accounting.ledger import Entry, Ledger
from diffcodec.accounting.trace import Balance, Clock
from diffcodec.archive.group import Spent
from diffcodec.theory.chain import Chain


@dataclass
class Written:
    """What an archive came to. All in bits but for the counts.

    8 file_bytes = net_bits + spent.progressive_bits + spent.graphics_bits + spent.packing_bits
    + spent.plain_bits + spent.metadata_bits + 8 head_bytes. resumed: groups that were there
    already; all but the counts is of the others. skipped: names and reasons; lost: names, and what
    the images have and no archive holds.
    """

    images: int = 0
    groups: int = 0
    resumed: int = 0
    file_bytes: int = 0
    head_bytes: int = 0  # all that is not a group's body
    skipped: list[tuple[str, str]] = field(default_factory=list)
    lost: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    spent: Spent = field(default_factory=lambda: Spent(Balance()))
    clock: Clock = field(default_factory=Clock)

    @property
    def net_bits(self) -> float:
        """What the images in bits-back batches added to the stacks."""
        return float(self.spent.balance.spent.sum())

    def include(self, head_bytes: int, spent: Spent, clock: Clock) -> None:
        """Add a group."""
        total = self.spent
        if spent.balance.spent.size:
            total.balance.include(spent.balance)
        total.progressive_bits += spent.progressive_bits
        total.progressive_ideal += spent.progressive_ideal
        total.progressive_values += spent.progressive_values
        total.graphics_bits += spent.graphics_bits
        total.graphics_values += spent.graphics_values
        total.packing_bits += spent.packing_bits
        total.plain_images += spent.plain_images
        total.plain_bits += spent.plain_bits
        total.plain_ideal += spent.plain_ideal
        total.plain_values += spent.plain_values
        total.metadata_bits += spent.metadata_bits
        self.head_bytes += head_bytes
        self.clock.network += clock.network
        self.clock.total += clock.total


def ledger(written: Written, chain: Chain | None) -> Ledger:
    """What every bit of an archive was spent on; of one that was written in one go.

    chain: of the network; None if the archive has none. Levels at its end that no tile has are left
    out.
    """
    assert not written.resumed
    spent, balance = written.spent, written.spent.balance
    entries = [
        Entry("index", 8 * written.head_bytes),
        Entry("initial", spent.progressive_bits, spent.progressive_ideal),
        Entry("padding", spent.packing_bits),
    ]
    if spent.graphics_bits:
        entries.append(
            Entry("graphics", spent.graphics_bits, spent.graphics_bits)
        )  # as stored pixels
    if spent.metadata_bits:
        entries.append(Entry("metadata", spent.metadata_bits, spent.metadata_bits))
    if spent.plain_bits:
        entries.append(Entry("plain", spent.plain_bits, spent.plain_ideal))
    levels = balance.spent.size - 1
    for t in range(levels, 0, -1):
        assert chain is not None
        step = levels - t
        entries.append(
            Entry(
                "latent",
                float(balance.spent[t]),
                float(balance.ideal[t]),
                step=step,
                v_from=chain.noise(step - 1),
                v_to=chain.noise(step),
                kl_bits=float(balance.kl[t]),
            )
        )
    if balance.spent.size:
        entries.append(Entry("pixels", float(balance.spent[0]), float(balance.ideal[0])))
    return Ledger("bitsback", written.file_bytes, tuple(entries)).check()
