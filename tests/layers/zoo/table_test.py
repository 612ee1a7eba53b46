"""The table of hosts in the docs is what `sparsify` says of them."""

import pytest

from tests.layers.zoo import table as zoo_table
from tests.layers.zoo.zoo import ZOO


def test_the_table_has_a_line_for_every_host():
    found = zoo_table.MARKS.search(zoo_table.PAGE.read_text())
    assert found is not None
    lines = [line for line in found[0].split("\n") if line.startswith("| ")]
    assert len(lines) == len(ZOO) + 2


@pytest.mark.full
def test_the_table_is_as_generated():
    assert zoo_table.table() in zoo_table.PAGE.read_text()
