"""The contract: its texts, its hash, its messages."""

import base64
from dataclasses import replace
from typing import Any

import numpy as np
import orjson
import pytest
from PIL import Image

from maploop.contract import DIALECTS, Contract, contract_of, picture_of
from maploop.errors import InputError, NoPixelsError
from maploop.imagery.info import SourceInfo
from maploop.imagery.tilemath import Tile
from maploop.project import ProjectSettings, ProjectView


def test_the_prompt_lists_classes_definitions_coordinates_and_instructions(project: ProjectView) -> None:
    system = contract_of(project).system
    assert "- building (polygon): Anything with a roof.\n- road (line)\n- tree (point): The middle" in system
    assert "from 0 to 999" in system
    assert system.endswith("Leave out tents.")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_each_dialect_explains_itself(project: ProjectView, dialect: str) -> None:
    contract = contract_of(project, dialect=dialect)
    assert ("[y, x]" in contract.system) == (dialect == "gemini")
    assert f"from 0 to {contract.limit}" in contract.system


def test_the_hash_covers_everything_that_reaches_the_model(project: ProjectView) -> None:
    contract = contract_of(project)
    variants = [
        contract,
        contract_of(replace(project, settings=ProjectSettings(instructions="Leave out sheds."))),
        contract_of(replace(project, classes=project.classes[:2])),
        contract_of(replace(project, tile_size=256)),
        replace(contract, user="Map it."),
        *(contract_of(project, dialect=each) for each in DIALECTS if each != "openai"),
        contract_of(project, image_format="png"),
        contract_of(project, detail="original"),
    ]
    assert len({each.hash for each in variants}) == len(variants)
    assert contract_of(project).hash == contract.hash


def test_a_contract_comes_back_from_json(project: ProjectView) -> None:
    contract = contract_of(project)
    assert Contract.from_json(orjson.loads(orjson.dumps(contract.to_json()))) == contract
    with pytest.raises(InputError, match="damaged"):
        Contract.from_json({})


def test_an_unknown_dialect_is_refused_with_those_there_are(project: ProjectView) -> None:
    with pytest.raises(InputError, match="'klingon' is not a coordinate dialect: use openai, qwen, pixels, gemini"):
        contract_of(project, dialect="klingon")


def test_messages_are_system_then_shots_then_the_picture(project: ProjectView) -> None:
    contract = contract_of(project)
    messages = contract.messages(b"now", shots=[(b"before", "{}")])
    assert [each["role"] for each in messages] == ["system", "user", "assistant", "user"]
    (text, image) = messages[-1]["content"]
    assert text["text"] == contract.user
    assert image["image_url"]["url"] == "data:image/jpeg;base64," + base64.b64encode(b"now").decode()


def test_the_schema_is_plain_enough_for_strict_structured_output(project: ProjectView) -> None:
    def keys(value: Any) -> set[str]:
        if isinstance(value, dict):
            return set(value) | set().union(*(keys(each) for each in value.values()))
        return set().union(*(keys(each) for each in value)) if isinstance(value, list) else set()

    schema = contract_of(project).schema
    assert not keys(schema) & {"minimum", "maximum", "minItems", "maxItems", "pattern", "prefixItems", "$ref", "title"}
    feature = schema["properties"]["features"]["items"]
    assert sorted(feature["required"]) == sorted(feature["properties"])
    assert feature["additionalProperties"] is False


class Checkered:
    """Imagery with data in its upper half only."""

    info = SourceInfo("geotiff", "/x.tif", None, 0, 20)
    fingerprint = "x"

    def read(self, tile: Tile, size: int) -> Any:
        rgba = np.full((size, size, 4), 200, dtype=np.uint8)
        rgba[: size // 2, :, 3], rgba[size // 2 :, :, 3] = 255, 0
        return rgba


@pytest.mark.parametrize("image_format", ["png", "jpeg"])
def test_pictures_are_rgb_with_black_where_there_is_no_data(
    project: ProjectView, image_format: Any, tmp_path: Any
) -> None:
    contract = contract_of(project, image_format=image_format)
    content = picture_of(Checkered(), Tile(19, 1, 1), contract)
    (tmp_path / "picture").write_bytes(content)
    with Image.open(tmp_path / "picture") as picture:
        assert (picture.mode, picture.size) == ("RGB", (512, 512))
        pixels = np.asarray(picture)
    assert abs(int(pixels[10, 10, 0]) - 200) < 3
    assert pixels[500, 10].max() < 3
    assert picture_of(Checkered(), Tile(19, 1, 1), contract) == content


def test_a_tile_without_pixels_has_no_picture(project: ProjectView) -> None:
    class Hole(Checkered):
        """Imagery that has nothing anywhere."""

        def read(self, tile: Tile, size: int) -> Any:
            return np.zeros((size, size, 4), dtype=np.uint8)

    with pytest.raises(NoPixelsError, match="no pixels for 19/1/1, a hole in it") as caught:
        picture_of(Hole(), Tile(19, 1, 1), contract_of(project))
    assert caught.value.reason == "hole"
    with pytest.raises(NoPixelsError, match="ends at zoom 20") as caught:
        picture_of(Hole(), Tile(21, 1, 1), contract_of(project))
    assert caught.value.reason == "beyond_zoom"
