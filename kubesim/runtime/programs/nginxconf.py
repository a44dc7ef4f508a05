"""nginx's configuration: nginx.conf, what it includes, and what of it the simulation obeys."""

import posixpath
import re
from dataclasses import dataclass, field
from fnmatch import fnmatch

from kubesim.runtime.filesystem import FileSystem
from kubesim.runtime.process import reason

PREFIX = "/etc/nginx"
MAIN = f"{PREFIX}/nginx.conf"
DEFAULT_SERVER = f"{PREFIX}/conf.d/default.conf"
SIMULATED = "the embedded cluster simulates server, listen, root, index, return, location, alias"
WITHOUT_EFFECT = ("server_name", "error_page", "default_type", "access_log", "try_files", "charset")
OBEYED = ("listen", "root", "alias", "index", "return")
# What may stand in a section and changes nothing here.
IGNORED = {
    "main": "user worker_processes pid error_log worker_rlimit_nofile daemon worker_cpu_affinity",
    "events": "worker_connections multi_accept use accept_mutex",
    "http": "default_type log_format access_log error_log sendfile tcp_nopush tcp_nodelay charset "
    "keepalive_timeout keepalive_requests types_hash_max_size server_tokens client_max_body_size "
    "server_names_hash_bucket_size gzip gzip_types gzip_min_length gzip_proxied gzip_vary "
    "client_body_timeout client_header_timeout send_timeout reset_timedout_connection",
}
DIRECTIVE = re.compile(
    r"\s*(?:#[^\n]*\n\s*)*((?:\"[^\"]*\"|'[^']*'|[^;{}\"'#])+?)\s*([;{])|\s*(\})"
)


@dataclass
class Location:
    """What is said for targets with this prefix."""

    prefix: str
    exact: bool = False
    root: str = ""
    alias: str = ""
    index: list[str] = field(default_factory=list)
    answer: tuple[int, str] | None = None


@dataclass
class Server:
    """One server block."""

    ports: list[int] = field(default_factory=list)
    root: str = "/usr/share/nginx/html"
    index: list[str] = field(default_factory=lambda: ["index.html", "index.htm"])
    answer: tuple[int, str] | None = None
    locations: list[Location] = field(default_factory=list)

    def location(self, path: str) -> Location:
        """Return the location that applies to `path`: exact, else the longest prefix."""
        exact = [each for each in self.locations if each.exact and each.prefix == path]
        prefixes = [
            each for each in self.locations if not each.exact and path.startswith(each.prefix)
        ]
        longest = sorted(prefixes, key=lambda each: len(each.prefix))[-1:]
        return (exact or longest or [Location("/")])[0]


class ConfigError(Exception):
    """The configuration can't be used; the message is nginx's."""


def read_configuration(files: FileSystem) -> list[Server]:
    """Read nginx.conf and the files that it includes. Raises ConfigError."""
    reader = Reader(files)
    reader.read(MAIN, "main")
    for server in reader.servers:
        server.ports = server.ports or [80]
    return reader.servers


class Reader:
    """Collects the server blocks of one file after the other."""

    def __init__(self, files: FileSystem) -> None:
        self._files = files
        self.servers: list[Server] = []

    def read(self, path: str, section: str) -> None:
        """Read a file whose directives stand in a section: "main", "events", "http", "types"."""
        try:
            text = self._files.read(path).decode(errors="replace")
        except OSError as error:
            raise ConfigError(f'open() "{path}" failed ({error.errno}: {reason(error)})') from None
        context: list[Server | Location | str] = [section]
        at, line = 0, 1
        text = re.sub(r"#[^\n]*", "", text)
        while text[at:].strip():
            match = DIRECTIVE.match(text, at)
            if not match:
                line = text.count("\n") + 1
                raise ConfigError(f'unexpected end of file, expecting ";" or "}}" in {path}:{line}')
            line = text.count("\n", 0, match.end()) + 1
            at = match.end()
            where = f"{path}:{line}"
            if match.group(3):
                if len(context) == 1:
                    raise ConfigError(f'unexpected "}}" in {where}')
                context.pop()
            elif match.group(2) == "{":
                context.append(self._block(match.group(1).split(), context, where))
            else:
                quoted = re.findall(r"\"([^\"]*)\"|'([^']*)'|(\S+)", match.group(1))
                self._directive(["".join(each) for each in quoted], context[-1], where)
        if len(context) > 1:
            raise ConfigError(f'unexpected end of file, expecting "}}" in {path}:{line}')

    def _block(
        self, words: list[str], context: list[Server | Location | str], where: str
    ) -> Server | Location | str:
        outer = context[-1]
        if words in (["events"], ["http"]) and outer == "main":
            return words[0]
        if words == ["types"] and outer != "main":
            return "types"
        if words == ["server"] and outer == "http":
            self.servers.append(Server())
            return self.servers[-1]
        if words[0] == "location" and len(words) in (2, 3) and not isinstance(outer, str):
            if len(words) == 3 and words[1] not in ("=", "^~"):
                raise ConfigError(f"regular expression locations are not simulated in {where}")
            location = Location(words[-1], exact=words[1] == "=")
            self.servers[-1].locations.append(location)
            return location
        raise ConfigError(f'unknown directive "{words[0]}" in {where} ({SIMULATED})')

    def _directive(self, words: list[str], target: Server | Location | str, where: str) -> None:
        name, *values = words
        if not isinstance(target, str):
            _obey(words, target, where)
        elif target == "types" or name in IGNORED[target].split():
            return
        elif name == "include" and values:
            self._include(posixpath.join(PREFIX, values[0]), target)
        elif name in OBEYED:
            raise ConfigError(f'"{name}" directive is not allowed here in {where}')
        else:
            raise ConfigError(f'unknown directive "{name}" in {where} ({SIMULATED})')

    def _include(self, pattern: str, section: str) -> None:
        directory, name = posixpath.split(pattern)
        if "*" not in name:
            self.read(pattern, section)
        elif self._files.is_directory(directory):
            for each in self._files.listdir(directory):
                if fnmatch(each, name):
                    self.read(f"{directory}/{each}", section)


def _obey(words: list[str], target: Server | Location, where: str) -> None:
    name, *values = words
    if name == "listen" and isinstance(target, Server):
        port = values[0].rpartition(":")[2]
        if not port.isdigit():
            raise ConfigError(f'invalid port in "{values[0]}" of the "listen" directive in {where}')
        target.ports += [int(port)] if int(port) not in target.ports else []
    elif name == "root":
        target.root = values[0]
    elif name == "alias" and isinstance(target, Location):
        target.alias = values[0]
    elif name == "index":
        target.index = values
    elif name == "return" and values[0].isdigit():
        target.answer = (int(values[0]), values[1] if values[1:] else "")
    elif name not in WITHOUT_EFFECT:
        raise ConfigError(f'unknown directive "{name}" in {where} ({SIMULATED})')
