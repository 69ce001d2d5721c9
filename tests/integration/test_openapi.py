"""docs/openapi.yaml holds together: references, examples, names, roles."""

import re

import jsonschema
import pytest

from pgtest import openapi

ROLES = {"none", "viewer", "operator", "admin"}
OPERATIONS = list(openapi.operations())


def nodes(node, where=""):
    yield where, node
    if isinstance(node, dict):
        for key, value in node.items():
            yield from nodes(value, f"{where}/{key}")
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from nodes(value, f"{where}/{number}")


def test_references_lead_somewhere():
    references = [node for _, node in nodes(openapi.document()) if isinstance(node, dict) and "$ref" in node]
    assert len(references) > 100
    for reference in references:
        assert openapi.resolve(reference), reference


def test_nothing_was_swallowed_by_yaml():
    """An unquoted comma in {…} would cut a description and leave a key without a value."""
    for where, node in nodes(openapi.document()):
        if "/example" not in where and isinstance(node, dict):
            assert None not in node.values(), where


def test_every_component_is_used():
    text = str([node for _, node in nodes(openapi.document()) if isinstance(node, dict) and "$ref" in node])
    for kind in ("schemas", "parameters", "responses"):
        for name in openapi.document()["components"][kind]:
            assert f"'#/components/{kind}/{name}'" in text, name


def test_schemas_are_schemas():
    for schema in openapi.document()["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("name", openapi.document()["components"]["schemas"])
def test_examples(name):
    schema = openapi.document()["components"]["schemas"][name]
    for example in schema.get("examples", []):
        openapi.validator({"$ref": f"#/components/schemas/{name}"}).validate(example)


def test_examples_are_judged():
    """The validator does see a wrong value behind a reference."""
    task = dict(openapi.document()["components"]["schemas"]["Task"]["examples"][0], state="asleep")
    with pytest.raises(jsonschema.ValidationError):
        openapi.validator({"$ref": "#/components/schemas/Task"}).validate(task)


def test_operations_have_names_of_their_own():
    names = [operation["operationId"] for _, _, operation in OPERATIONS]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("method, path, operation", OPERATIONS,
                         ids=[operation["operationId"] for _, _, operation in OPERATIONS])
def test_operation(method, path, operation):
    assert operation["x-role"] in ROLES
    assert operation.get("x-status", "planned") == "planned"
    assert operation["summary"] and len(operation["tags"]) == 1
    assert operation["tags"][0] in {tag["name"] for tag in openapi.document()["tags"]}
    assert "default" in operation["responses"] and len(operation["responses"]) > 1
    given = {parameter["name"]: parameter for parameter in openapi.parameters(path, operation)}
    assert {name for name, p in given.items() if p["in"] == "path"} == set(re.findall(r"\{(\w+)\}", path))
    changes = method != "GET" and operation["x-role"] != "none"
    assert ("X-CSRF-Token" in given) == changes
    assert (operation["x-role"] == "none") == (operation.get("security") == [])
    for schema in (parameter["schema"] for parameter in given.values()):
        jsonschema.Draft202012Validator.check_schema(openapi.resolve(schema))
