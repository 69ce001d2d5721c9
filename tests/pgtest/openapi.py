"""docs/openapi.yaml as a judge: is the file itself in order, and is an answer as it promises?"""

import functools
import os
import re

import jsonschema
import yaml

from pgtest import REPOSITORY

METHODS = ("get", "post", "put", "patch", "delete")
PATH = os.path.join(REPOSITORY, "docs", "openapi.yaml")
FORMATS = jsonschema.FormatChecker()


@functools.cache
def document():
    with open(PATH, encoding="utf-8") as handle:
        return yaml.safe_load(handle)


def resolve(node):
    """What a {"$ref": …} stands for; anything else is itself."""
    while isinstance(node, dict) and "$ref" in node:
        assert node["$ref"].startswith("#/"), node
        found = document()
        for name in node["$ref"][2:].split("/"):
            found = found[name]
        node = found
    return node


def operations():
    """Yields (METHOD, path, operation)."""
    for path, item in document()["paths"].items():
        for method in METHODS:
            if method in item:
                yield method.upper(), path, item[method]


def parameters(path, operation):
    common = document()["paths"][path].get("parameters", [])
    return [resolve(parameter) for parameter in [*common, *operation.get("parameters", [])]]


def validator(schema):
    """A validator in whose schema references into the document work."""
    root = {"components": document()["components"], "allOf": [schema]}
    return jsonschema.Draft202012Validator(root, format_checker=FORMATS)


def find(method, path):
    """The operation that a request's path (without query) belongs to; fixed words before parameters."""
    found = [(template.count("{"), template, operation) for name, template, operation in operations()
             if name == method and re.fullmatch(re.sub(r"\\{[a-z]+\\}", "[^/]+", re.escape(template)), path)]
    assert found, f"{method} {path} is not in {PATH}"
    return min(found, key=lambda row: row[0])[1:]


def check_answer(method, path, status, content_type, body):
    """Fails unless the file promises this answer. body: parsed JSON, or None."""
    template, operation = find(method, path)
    response = operation["responses"].get(str(status))
    if response is None:
        assert status >= 400, f"{method} {template}: {status} is not promised"
        response = operation["responses"]["default"]
    content = resolve(response).get("content")
    if content is None:
        assert not body, f"{method} {template}: {status} has no body, got {body!r}"
        return
    kind = content_type.split(";")[0]
    assert kind in content, f"{method} {template}: {status} promises {list(content)}, got {kind}"
    if kind.endswith("json"):
        errors = list(validator(content[kind]["schema"]).iter_errors(body))
        assert not errors, f"{method} {template} {status}: {errors[0].message} at {list(errors[0].path)}\n{body}"
