"""What stands in Redis is data, whoever wrote it there."""

import pickle
from decimal import Decimal

import pytest
import redis
from django.conf import settings
from django.core.cache import cache


class Trap:
    """What runs code when pickle reads it."""

    sprung = False

    def __reduce__(self) -> tuple[object, tuple[()]]:
        return _spring, ()


def _spring() -> str:
    Trap.sprung = True
    return "sprung"


@pytest.mark.parametrize("value", [0, 7, "", "text", True, None, [1, "a"], {"a": [1.5, None]}])
def test_what_is_kept_comes_back(value: object) -> None:
    cache.set("tests:cache", value, 60)

    assert cache.get("tests:cache", "nothing") == value


def test_whole_numbers_are_counted_by_redis() -> None:
    cache.set("tests:count", 1, 60)

    assert cache.incr("tests:count") == 2


def test_what_json_does_not_know_is_refused() -> None:
    with pytest.raises(TypeError):
        cache.set("tests:cache", Decimal("1.00"), 60)


def test_a_pickle_that_somebody_put_there_is_not_run() -> None:
    key = cache.make_key("tests:trap")
    redis.Redis.from_url(settings.REDIS_URL).set(key, pickle.dumps(Trap()), ex=60)

    # The control: read as a pickle, it does run.
    pickle.loads(pickle.dumps(Trap()))
    assert Trap.sprung
    Trap.sprung = False
    with pytest.raises(ValueError, match=r"utf-8|Expecting value"):
        cache.get("tests:trap")
    assert not Trap.sprung
