"""Objects that nobody can change: what the server shares with everybody, in every test here.

The server hands the same objects to all readers in its process, so one that is changed by the
part that got it changes for all. In these tests such a change raises where it is made.
"""

from kubesim.apiserver.registry import storage


def _refuse(self, *_, **__):
    raise AssertionError("a shared object was changed: copy it first")


class SealedDict(dict):
    """A dict that stays as it is; copies of it are free."""

    __delitem__ = __ior__ = clear = popitem = update = _refuse

    def __setitem__(self, key, value):
        if key not in self or self[key] != value:  # to say again what is there changes nothing
            _refuse()

    def setdefault(self, key, default=None):
        return self[key] if key in self else _refuse()

    def pop(self, key, *default):
        return _refuse() if key in self or not default else default[0]

    def __deepcopy__(self, memo):
        return unsealed(self)


class SealedList(list):
    """A list that stays as it is; copies of it are free."""

    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse
    append = clear = extend = insert = pop = remove = reverse = sort = _refuse

    def __deepcopy__(self, memo):
        return unsealed(self)


def sealed(value):
    if isinstance(value, dict):
        return SealedDict({key: sealed(part) for key, part in value.items()})
    return SealedList(map(sealed, value)) if isinstance(value, list) else value


def unsealed(value):
    if isinstance(value, dict):
        return {key: unsealed(part) for key, part in value.items()}
    return [unsealed(part) for part in value] if isinstance(value, list) else value


class SealedStored(storage.Stored):
    """An object in the store's cache, sealed."""

    def __init__(self, object, revision, resource):  # noqa: A002 - the field's name
        super().__init__(sealed(object), revision, resource)


def seal(monkeypatch):
    """Seals whatever is stored or read from now on."""
    monkeypatch.setattr(storage, "Stored", SealedStored)
