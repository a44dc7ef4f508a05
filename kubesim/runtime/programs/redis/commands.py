"""The commands of a redis server: strings, numbers, lists, sets, hashes, expiry."""

import fnmatch
from collections.abc import Callable

from kubesim.runtime.programs.redis.config import config
from kubesim.runtime.programs.redis.database import Database
from kubesim.runtime.programs.redis.protocol import RedisError, Reply, Status

OK = Status("OK")
NO_INTEGER = "ERR value is not an integer or out of range"
SYNTAX = "ERR syntax error"
ANY = 10_000
Command = Callable[[Database, list[str]], Reply]
TYPES = {str: "string", list: "list", set: "set", dict: "hash"}


def execute(database: Database, words: list[str]) -> Reply:
    """Run a command. Raises RedisError."""
    name, *arguments = words
    known = COMMANDS.get(name.lower())
    if known is None:
        given = " ".join(f"'{word}'" for word in arguments)
        raise RedisError(f"ERR unknown command '{name}', with args beginning with: {given}")
    least, most, command = known
    if not least <= len(arguments) <= most:
        raise RedisError(f"ERR wrong number of arguments for '{name.lower()}' command")
    database.expire()
    return command(database, arguments)


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise RedisError(NO_INTEGER) from None


def _ping(_database: Database, arguments: list[str]) -> Reply:
    return arguments[0] if arguments else Status("PONG")


def _set(database: Database, arguments: list[str]) -> Reply:
    key, value, *options = arguments
    words = [word.upper() for word in options]
    if ("NX" in words and key in database.values) or ("XX" in words and key not in database.values):
        return None
    seconds = None
    while words:
        word = words.pop(0)
        if word in ("EX", "PX") and words:
            seconds = _integer(words.pop(0)) / (1 if word == "EX" else 1000)
        elif word not in ("NX", "XX", "KEEPTTL"):
            raise RedisError(SYNTAX)
    database.values[key] = value
    database.expiries.pop(key, None)
    if seconds is not None:
        database.expiries[key] = database.clock.monotonic() + seconds
    return OK


def _add(sign: int) -> Command:
    def command(database: Database, arguments: list[str]) -> Reply:
        step = _integer(arguments[1]) if len(arguments) > 1 else 1
        total = _integer(database.get(arguments[0], "0")) + sign * step
        database.values[arguments[0]] = str(total)
        return total

    return command


def _get(database: Database, arguments: list[str]) -> Reply:
    return database.get(arguments[0], "") if arguments[0] in database.values else None


def _append(database: Database, arguments: list[str]) -> Reply:
    key, text = arguments
    database.values[key] = database.get(key, "") + text
    return len(database.get(key, ""))


def _mset(database: Database, arguments: list[str]) -> Reply:
    if len(arguments) % 2:
        raise RedisError("ERR wrong number of arguments for 'mset' command")
    database.values.update(zip(arguments[::2], arguments[1::2], strict=True))
    return OK


def _expire(database: Database, arguments: list[str]) -> Reply:
    key, seconds = arguments
    if key not in database.values:
        return 0
    database.expiries[key] = database.clock.monotonic() + _integer(seconds)
    return 1


def _ttl(database: Database, arguments: list[str]) -> Reply:
    if arguments[0] not in database.values:
        return -2
    moment = database.expiries.get(arguments[0])
    return -1 if moment is None else round(moment - database.clock.monotonic())


def _push(left: bool) -> Command:
    def command(database: Database, arguments: list[str]) -> Reply:
        values = database.make(arguments[0], list[str]())
        for value in arguments[1:]:
            values.insert(0 if left else len(values), value)
        return len(values)

    return command


def _pop(left: bool) -> Command:
    def command(database: Database, arguments: list[str]) -> Reply:
        values = database.get(arguments[0], list[str]())
        if not values:
            return None
        value = values.pop(0 if left else -1)
        database.drop_if_empty(arguments[0])
        return value

    return command


def _lrange(database: Database, arguments: list[str]) -> Reply:
    values = database.get(arguments[0], list[str]())
    begin, end = (_integer(text) for text in arguments[1:])
    begin = max(begin + len(values), 0) if begin < 0 else begin
    end = end + len(values) if end < 0 else end
    return list(values[begin : end + 1])


def _sadd(database: Database, arguments: list[str]) -> Reply:
    members = database.make(arguments[0], set[str]())
    before = len(members)
    members.update(arguments[1:])
    return len(members) - before


def _hset(database: Database, arguments: list[str]) -> Reply:
    key, *pairs = arguments
    if len(pairs) % 2:
        raise RedisError("ERR wrong number of arguments for 'hset' command")
    fields = database.make(key, dict[str, str]())
    before = len(fields)
    fields.update(zip(pairs[::2], pairs[1::2], strict=True))
    return len(fields) - before


def _hgetall(database: Database, arguments: list[str]) -> Reply:
    fields = database.get(arguments[0], dict[str, str]())
    return [word for pair in fields.items() for word in pair]


def _removed(database: Database, arguments: list[str]) -> Reply:
    return sum(database.remove(key) for key in arguments)


def _clear(database: Database, _arguments: list[str]) -> Reply:
    database.values.clear()
    database.expiries.clear()
    return OK


def _type(database: Database, arguments: list[str]) -> Reply:
    value = database.values.get(arguments[0])
    return Status("none" if value is None else TYPES[type(value)])


def _info(database: Database, _arguments: list[str]) -> Reply:
    keys = len(database.values)
    lines = ["# Server", "redis_mode:standalone", "# Replication", "role:master", "# Keyspace"]
    return "\r\n".join([*lines, *([f"db0:keys={keys}"] if keys else []), ""])


COMMANDS: dict[str, tuple[int, int, Command]] = {  # the fewest and most arguments, what to do
    "append": (2, 2, _append),
    "command": (0, ANY, lambda _database, _arguments: []),
    "config": (1, ANY, config),
    "dbsize": (0, 0, lambda database, _arguments: len(database.values)),
    "decr": (1, 1, _add(-1)),
    "decrby": (2, 2, _add(-1)),
    "del": (1, ANY, _removed),
    "echo": (1, 1, lambda _database, arguments: arguments[0]),
    "exists": (1, ANY, lambda database, keys: sum(key in database.values for key in keys)),
    "expire": (2, 2, _expire),
    "flushall": (0, 1, _clear),
    "flushdb": (0, 1, _clear),
    "get": (1, 1, _get),
    "hget": (2, 2, lambda db, words: db.get(words[0], dict[str, str]()).get(words[1])),
    "hgetall": (1, 1, _hgetall),
    "hset": (3, ANY, _hset),
    "incr": (1, 1, _add(1)),
    "incrby": (2, 2, _add(1)),
    "info": (0, ANY, _info),
    "keys": (1, 1, lambda database, words: [*fnmatch.filter(sorted(database.values), words[0])]),
    "llen": (1, 1, lambda database, words: len(database.get(words[0], list[str]()))),
    "lpop": (1, 1, _pop(left=True)),
    "lpush": (2, ANY, _push(left=True)),
    "lrange": (3, 3, _lrange),
    "mget": (1, ANY, lambda database, keys: [_get(database, [key]) for key in keys]),
    "mset": (2, ANY, _mset),
    "ping": (0, 1, _ping),
    "rpop": (1, 1, _pop(left=False)),
    "rpush": (2, ANY, _push(left=False)),
    "sadd": (2, ANY, _sadd),
    "scard": (1, 1, lambda database, words: len(database.get(words[0], set[str]()))),
    "select": (1, 1, lambda _database, _arguments: OK),
    "set": (2, ANY, _set),
    "smembers": (1, 1, lambda database, words: [*sorted(database.get(words[0], set[str]()))]),
    "strlen": (1, 1, lambda database, words: len(database.get(words[0], ""))),
    "ttl": (1, 1, _ttl),
    "type": (1, 1, _type),
}
