"""Background tasks whose failure nobody can miss."""

import asyncio

import pytest

from stream.worker.crew import Crew


def test_the_first_failure_of_any_task_is_told() -> None:
    """A task that raises makes `failed` answer with its error; later errors do not replace it."""

    async def fails(message: str) -> None:
        raise ValueError(message)

    async def run() -> BaseException:
        crew = Crew()
        crew.spawn(fails("first"))
        await asyncio.sleep(0)
        crew.spawn(fails("second"))
        return await crew.failed()

    assert str(asyncio.run(run())) == "first"


def test_a_dismissed_crew_leaves_no_task_behind() -> None:
    """Dismissal cancels what runs and is no failure."""

    async def run() -> tuple[bool, bool]:
        crew = Crew()
        task = crew.spawn(asyncio.Event().wait())
        await asyncio.sleep(0)
        await crew.dismiss()
        failed = asyncio.ensure_future(crew.failed())
        await asyncio.sleep(0)
        quiet = not failed.done()
        failed.cancel()
        return task.cancelled(), quiet

    assert asyncio.run(run()) == (True, True)


def test_a_spawned_task_gives_its_result() -> None:
    """Spawning does not change what a coroutine returns or raises to whoever awaits it."""

    async def gives() -> int:
        return 7

    async def run() -> int:
        return await Crew().spawn(gives())

    assert asyncio.run(run()) == 7


def test_an_error_is_raised_to_who_awaits_and_told_to_the_crew() -> None:
    """Awaiting a failed task raises; the crew knows of it as well."""

    async def fails() -> None:
        raise KeyError("x")

    async def run() -> None:
        crew = Crew()
        with pytest.raises(KeyError):
            await crew.spawn(fails())
        assert isinstance(await crew.failed(), KeyError)

    asyncio.run(run())
