"""Shapes that need Python 3.6."""
import asyncio
import types


def inner_generator(park):
    yield 1
    return park()


def delegating(park):
    result = yield from inner_generator(park)
    yield result


def yield_from(park):
    return list(
        delegating(park)
    )


@types.coroutine
def suspended_once():
    yield 1


class Awaitable:
    def __init__(self, park):
        self.park = park

    def __await__(self):
        yield from suspended_once()
        self.park()


async def leaf(park):
    await suspended_once()
    park()


async def middle(park):
    return await leaf(
        park
    )


def by_send(park):
    coroutine = middle(park)
    coroutine.send(None)
    coroutine.send(None)


def by_await(park):
    async def waits():
        await Awaitable(park)
    coroutine = waits()
    coroutine.send(None)
    coroutine.send(None)


async def numbers(park):
    yield 1
    park()
    yield 2


class AsyncManager:
    def __init__(self, park):
        self.park = park

    async def __aenter__(self):
        return self

    async def __aexit__(self, *what):
        self.park()


async def async_for(park):
    async for number in numbers(park):
        number + 1


async def async_with(park):
    async with AsyncManager(park):
        await asyncio.sleep(0)


async def async_comprehension(park):
    return [
        number
        async for number in numbers(park)
        if number
    ]


async def gathered(park):
    await asyncio.gather(leafs_of_loop(park), asyncio.sleep(0))


async def leafs_of_loop(park):
    await asyncio.sleep(0)
    park()


def in_loop(function):
    def shape(park):
        loop = asyncio.new_event_loop()
        loop.run_until_complete(function(park))
    return shape


def keyword_only(park, *, value=1):
    return park(
        value=f"{value!r}"
              f"{value}"
    )


def formatted(park):
    return (f"a"
            f"{park()}"
            f"c")


def unpacking(park):
    first, *rest = [1,
                    *[park()]]
    return first, rest


def metaclass(park):
    class Meta(type):
        def __new__(mcs, name, bases, namespace):
            park()
            return super().__new__(mcs, name, bases, namespace)

    class Made(metaclass=Meta):
        attribute: int = 1
    return Made


SHAPES = [yield_from, by_send, by_await, in_loop(async_for), in_loop(async_with), in_loop(async_comprehension),
          in_loop(gathered), keyword_only, formatted, unpacking, metaclass]
