"""Who publishes weights: each row of a network names files that its publisher has."""

from mindvision.classification.utils.model_urls import model_urls

from mindres.models.registry import SOURCES


def test_mindvisions_addresses_are_those_of_its_own_table():
    for arch, published in SOURCES.items():
        if "mindvision" in published and model_urls.get(arch):
            assert published["mindvision"].url == model_urls[arch]


def test_digests_come_from_the_names_that_carry_one():
    published = SOURCES["resnet50"]
    assert {name: published[name].sha256 for name in published} == {
        "mindvision": None,
        "mindcv": "e0733ab8",
        "torchvision": "0676ba61",
        "timm": None,
    }
    assert published["timm"].hub and published["timm"].name == "resnet50.a1_in1k.safetensors"
    assert published["timm"].url == (
        "https://huggingface.co/timm/resnet50.a1_in1k/resolve/main/model.safetensors"
    )
