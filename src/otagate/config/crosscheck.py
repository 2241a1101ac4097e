"""What two places of the configuration must agree on, and the configuration with what is installed.

Judged on the raw tree, so that it is told together with every other error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from typing import get_args

from otagate.config.absent import MQTT_LIBRARY, RADIO_LIBRARIES
from otagate.config.document import Document
from otagate.config.problems import Loc, Problem, key_name, nearest, shown
from otagate.config.settings import ZIGBEE2MQTT, SourceSettings
from otagate.sources.registry import REGISTRY

_SOURCE_TYPES = get_args(SourceSettings.model_fields["type"].annotation)
_SOURCE_KEYS: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(REGISTRY, frozenset({"url"})),
    "directory": frozenset({"path"}),
    "zwave-js": frozenset({"url", "api", "api_key_file"}),
    "tuya-illume": frozenset({"url", "client_id", "client_secret_file", "project_id", "same_as"}),
    "tuya-thing": frozenset({"url", "client_id", "client_secret_file", "device_ids", "same_as"}),
    "iotaap": frozenset({"api_url", "ota_url", "email", "password_file", "bindings"}),
    **dict.fromkeys(("z2m-index", "zigpy-index"), frozenset({"url", "path"})),
}
_NOTIFY_KEYS: Mapping[str, frozenset[str]] = {
    "webhook": frozenset({"url", "secret_file"}),
    "ntfy": frozenset({"url", "token_file"}),
    "mqtt": frozenset({"topic"}),
}
_NEEDED: Mapping[str, frozenset[str]] = {
    "directory": frozenset({"path"}),
    "zigpy-index": frozenset({"url"}),
    "iotaap": frozenset({"email", "password_file"}),
    **{each: _SOURCE_KEYS[each] - {"same_as"} for each in ("tuya-illume", "tuya-thing")},
    **dict.fromkeys(("webhook", "ntfy"), frozenset({"url"})),
}
_OF_TYPES = (("sources", "a source", _SOURCE_KEYS), ("notify", "a receiver", _NOTIFY_KEYS))
Values = Iterator[tuple[Loc, str]]


def disagreements(document: Document) -> list[Problem]:
    """Names and paths given twice, radios, windows and interlocks that do not exist, radios whose library is not installed."""
    problems: list[Problem] = []
    for values, what in _UNIQUE:
        first: dict[str, Loc] = {}
        for loc, value in values(document):
            earlier = first.setdefault(value, loc)
            if earlier != loc:
                owner = earlier[:-1] if isinstance(earlier[-1], str) else earlier
                text = f"{shown(value)} is {what} of {key_name(owner)} already: {_REMEDY[what]}"
                problems.append(Problem(place=document.place_of(loc), key=key_name(loc), text=text))
    for check in (_keys_of_types, _topicless, _unknown_radios, _unknown_names, _second_admins, _missing_libraries, _no_broker):
        problems += check(document)
    return problems


def _entries(document: Document, *keys: str) -> Iterator[tuple[Loc, dict[str, object]]]:
    """The sections in the list under these keys, as far as they are sections in a list."""
    found: object = document.tree
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    if isinstance(found, list):
        for index, each in enumerate(found):
            if isinstance(each, dict):
                yield (*keys, index), each


def _texts(section: str, key: str) -> Callable[[Document], Values]:
    def texts(document: Document) -> Values:
        for loc, entry in _entries(document, *section.split(".")):
            value = entry.get(key)
            if isinstance(value, str):
                yield (*loc, key), value.rstrip("/") if key == "path" else value

    return texts


def _source_names(document: Document) -> Values:
    for loc, entry in _entries(document, "sources"):
        key = "name" if isinstance(entry.get("name"), str) else "type"
        value = entry.get(key)
        if isinstance(value, str) and (key == "name" or value in _SOURCE_TYPES):
            yield (*loc, key), value


def _bound_devices(document: Document) -> Values:
    for loc, source in _entries(document, "sources"):
        bindings = source.get("bindings")
        for index, each in enumerate(bindings if isinstance(bindings, list) else ()):
            device = each.get("device") if isinstance(each, dict) else None
            if isinstance(device, str):
                yield (*loc, "bindings", index, "device"), device


def _listens(document: Document) -> Values:
    api = document.tree.get("api")
    found = api.get("listen") if isinstance(api, dict) else None
    if isinstance(found, list):
        for index, each in enumerate(found):
            if isinstance(each, str) and not each.endswith(":0"):
                yield ("api", "listen", index), each


def _servers(document: Document) -> Values:
    """What stands behind the addresses of radios: several zigbee2mqtt may share a broker, each with its topic."""
    for loc, entry in _entries(document, "radios"):
        url, topic = entry.get("url"), entry.get("base_topic")
        if isinstance(url, str):
            yield (*loc, "url"), url.rstrip("/") if topic in (None, ZIGBEE2MQTT) else f"{url.rstrip('/')} {topic}"


_UNIQUE: tuple[tuple[Callable[[Document], Values], str], ...] = (
    (_texts("radios", "name"), "the name"),
    (_texts("radios", "path"), "the path"),
    (_servers, "the address"),
    (_texts("sources", "path"), "the path"),
    (_texts("windows", "name"), "the name"),
    (_texts("interlocks", "name"), "the name"),
    (_texts("notify", "name"), "the name"),
    (_texts("api.tokens", "name"), "the name"),
    (_source_names, "the name"),
    (_listens, "the address"),
    (_bound_devices, "the device"),
)
_REMEDY = {
    "the name": "give this one a name of its own",
    "the path": "give each its own",
    "the address": "take one of them away",
    "the device": "bind each once",
}


def _keys_of_types(document: Document) -> Iterator[Problem]:
    """A key that belongs to another type of source or receiver, and one that this type cannot do without."""
    for section, what, keys in _OF_TYPES:
        anybodys = frozenset().union(*keys.values())
        for loc, entry in _entries(document, section):
            belongs = keys.get(str(entry.get("type")))
            if belongs is None:
                continue  # the type itself is told
            for key in entry:
                if key in anybodys and key not in belongs:
                    text = f"does not belong to {what} of type {entry['type']}: take it away"
                    yield Problem(place=document.place_of_key((*loc, key)), key=key_name((*loc, key)), text=text)
            for key in sorted(belongs & _NEEDED.get(str(entry["type"]), frozenset())):
                if entry.get(key) is None:
                    yield Problem(place=document.place_of(loc), key=key_name((*loc, key)), text="is missing: this key must be given")


def _topicless(document: Document) -> Iterator[Problem]:
    """An ntfy server whose topic nobody names."""
    for loc, entry in _entries(document, "notify"):
        url, here = entry.get("url"), (*loc, "url")
        if entry.get("type") == "ntfy" and isinstance(url, str) and not url.partition("://")[2].partition("/")[2].strip("/"):
            text = "names no topic: write it behind the server, as in https://ntfy.sh/my-topic"
            yield Problem(place=document.place_of(here), key=key_name(here), text=text)


def _unknown_radios(document: Document) -> Iterator[Problem]:
    known = [value for _, value in _texts("radios", "name")(document)]
    for loc, rule in _entries(document, "policy", "rules"):
        match = rule.get("match")
        radio = match.get("radio") if isinstance(match, dict) else None
        if isinstance(radio, str) and radio not in known:
            here = (*loc, "match", "radio")
            text = f"no radio is called {shown(radio)}{nearest(radio, known)}: known are {', '.join(known) or 'none'}"
            yield Problem(place=document.place_of(here), key=key_name(here), text=text)


def _unknown_names(document: Document) -> Iterator[Problem]:
    """Windows and interlocks that policy names and nobody defines."""
    policy = document.tree.get("policy")
    places: list[tuple[Loc, object]] = [(("policy",), policy)]
    places += [((*loc, "use"), rule.get("use")) for loc, rule in _entries(document, "policy", "rules")]
    for key, section, what in (("window", "windows", "window"), ("interlocks", "interlocks", "interlock")):
        known = [value for _, value in _texts(section, "name")(document)]
        for loc, found in places:
            named = found.get(key) if isinstance(found, dict) else None
            for at, name in [((), named)] if isinstance(named, str) else [((index,), each) for index, each in enumerate(_listed(named))]:
                if isinstance(name, str) and name not in known:
                    here = (*loc, key, *at)
                    text = f"no {what} is called {shown(name)}{nearest(name, known)}: known are {', '.join(known) or 'none'}"
                    yield Problem(place=document.place_of(here), key=key_name(here), text=text)


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _second_admins(document: Document) -> Iterator[Problem]:
    for loc, name in _texts("api.tokens", "name")(document):
        if name == "admin":
            text = "'admin' is the name of the token in token_file: give this one a name of its own"
            yield Problem(place=document.place_of(loc), key=key_name(loc), text=text)


def _missing_libraries(document: Document) -> Iterator[Problem]:
    for loc, radio_type in _texts("radios", "type")(document):
        library = RADIO_LIBRARIES.get(radio_type)
        if library is not None and find_spec(library) is None:
            text = f"{shown(radio_type)} needs a library that is not installed: pip install 'otagate[{radio_type}]'"
            yield Problem(place=document.place_of(loc), key=key_name(loc), text=text)


def _no_broker(document: Document) -> Iterator[Problem]:
    """A broker that cannot be spoken to here, and what needs one where there is none."""
    mqtt = document.tree.get("mqtt")
    url = mqtt.get("url") if isinstance(mqtt, dict) else None
    brokers: list[Loc] = [] if url is None else [("mqtt", "url")]
    brokers += [(*loc, "type") for loc, radio in _entries(document, "radios") if radio.get("type") == ZIGBEE2MQTT]
    for loc in brokers if find_spec(MQTT_LIBRARY) is None else ():
        text = "needs a library that is not installed: pip install 'otagate[mqtt]'"
        yield Problem(place=document.place_of(loc), key=key_name(loc), text=text)
    on_topics = [(*loc, "topic") for loc, interlock in _entries(document, "interlocks") if interlock.get("topic") is not None]
    on_topics += [(*loc, "type") for loc, receiver in _entries(document, "notify") if receiver.get("type") == "mqtt"]
    for here in on_topics if url is None else ():
        yield Problem(place=document.place_of(here), key=key_name(here), text="needs a broker: give its address under mqtt.url")
