"""Addresses of pages: whatever a name holds, it comes back whole, and is nothing but a value."""

from urllib.parse import parse_qs, urlsplit

import pytest

from tasks.dataset.paths import (
    PAGES,
    page_of_class,
    page_of_image,
    page_of_images,
    page_of_operation,
    page_of_variant,
)

NAMES = ["a/b.jpg", "<img src=x onerror=alert(1)>", "a&b=c#d?e", "100% +", "\"' /../", "žluť\n"]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_one_value_of_the_address(name: str) -> None:
    for page, key in (
        (page_of_image, "file"),
        (page_of_class, "name"),
        (page_of_operation, "name"),
    ):
        address = urlsplit(page(name))
        assert parse_qs(address.query, strict_parsing=True) == {key: [name]}
        assert not set(page(name)) & set("<>\"' \n()")
    chosen = urlsplit(page_of_images(label=name, kind="variant"))
    assert parse_qs(chosen.query, strict_parsing=True) == {"label": [name], "kind": ["variant"]}


def test_addresses_by_hand() -> None:
    assert page_of_images() == "/images"
    assert page_of_images(status="quarantined") == "/images?status=quarantined"
    assert page_of_variant("0a", "0a-v001") == "/image?source=0a#0a-v001"
    assert list(PAGES) == [
        "page_of_images",
        "page_of_image",
        "page_of_variant",
        "page_of_class",
        "page_of_operation",
    ]
