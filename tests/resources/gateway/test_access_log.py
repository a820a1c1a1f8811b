"""The log of requests: lines are gathered, whole and in order; ids do not come twice."""

import asyncio
import json

from ft_resources.gateway.access_log import GATHER_SECONDS, READ_IDS, AccessLines, RandomIds


def test_lines_that_come_together_are_written_together():
    written = []

    async def log():
        lines = AccessLines(written.append)
        for number in range(3):
            lines.add({"n": number})
        assert written == []
        await asyncio.sleep(2 * GATHER_SECONDS)
        assert [json.loads(line) for line in written[0].splitlines()] == [
            {"n": n} for n in range(3)
        ]
        lines.add({"n": 3})
        lines.flush()  # as at the end of the gateway
        await asyncio.sleep(2 * GATHER_SECONDS)

    asyncio.run(log())
    assert len(written) == 2
    assert written[1] == b'{"n":3}\n'


def test_ids_do_not_come_twice():
    new, number = RandomIds(), 3 * READ_IDS
    ids = {new() for _ in range(number)}
    assert len(ids) == number
    assert {len(i) for i in ids} == {32}
