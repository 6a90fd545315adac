"""List the images of data/raw: files that are images, and the images inside containers."""

import posixpath
from collections.abc import Iterator
from typing import NamedTuple

from tasks.common.errors import UserError
from tasks.dataset import raw_files
from tasks.dataset.paths import RAW
from tasks.ingest.class_tars import find_class_tars
from tasks.ingest.containers import Contents, Member
from tasks.ingest.label_files import LabelFiles
from tasks.ingest.read_files import Content, FileFacts
from tasks.ingest.tables.values import Annotation


class ListedImage(NamedTuple):
    """One image.

    `name` is its name in the manifest: `cat/1.png`, or `shard.tar::cat/1.png` inside a container.
    `path` is the path whose folders may name its class and split. Inside a container it is the
    path that the image would have if the container were a folder's content: `cat/1.png` for
    both names above. Of a tar that is named after its class it is a folder itself: `cat/1.png` for
    `cat.tar::1.png`. `annotation` is what the container says of it. `sample`: the sample that has
    several images, this one among them.
    """

    name: str
    path: str
    facts: FileFacts
    container: str | None = None
    offset: int | None = None
    annotation: Annotation = Annotation()
    sample: str | None = None


class ImageList:
    """All images of data/raw, in the order of their files.

    `class_tars`: the tars that are named after the class that they hold, see find_class_tars().

    They are made anew each time that somebody iterates: a list of millions would take gigabytes.
    """

    def __init__(self, contents: dict[str, Content], label_files: LabelFiles) -> None:
        self.contents = contents
        self.label_files = label_files
        self.containers = {
            name: content for name, content in contents.items() if isinstance(content, Contents)
        }
        self.class_tars = find_class_tars(self.containers)

    def __iter__(self) -> Iterator[ListedImage]:
        """Yield the images; files that label others are none.

        Raises:
            UserError: where an idx file of labels has not as many labels as there are images.
        """
        for name, content in self.contents.items():
            if name in self.label_files.names:
                continue
            if isinstance(content, Contents):
                yield from self._in_container(name, content)
            else:
                yield ListedImage(
                    raw_files.printable_name(name), raw_files.printable_name(name), content
                )

    def _in_container(self, name: str, content: Contents) -> Iterator[ListedImage]:
        """The images of the container `name`; where it is damaged, it is listed itself as well."""
        labels = self.label_files.idx_labels.get(name)
        class_names = self.label_files.class_names.get(name, {})
        if labels is not None and len(labels) != len(content.images):
            found = f"{len(content.images):,} images and {len(labels):,} labels"
            raise UserError(f"{RAW / name}: needs a label for each image, found {found}")
        for number, member in enumerate(content.images):
            label = labels[number] if labels else member.label
            label = class_names.get(label or "", label)
            yield _listed_member(name, member, label, self.class_tars.get(name))
        if content.damage:
            yield ListedImage(name, name, FileFacts(reason="corrupt", detail=content.damage))


def _listed_member(
    container: str, member: Member, label: str | None, class_folder: str | None
) -> ListedImage:
    folder = class_folder or posixpath.dirname(container)
    # joined to the root first, so that `..` in a member's name leads nowhere
    path = posixpath.join("/", folder, member.name)
    return ListedImage(
        name=f"{container}::{member.name}",
        path=posixpath.normpath(path).lstrip("/"),
        facts=FileFacts(member.bytes, member.sha256, member.reason, member.detail),
        container=container,
        offset=member.offset,
        annotation=Annotation(label, member.split, member.group_id),
        sample=member.sample and f"{container}::{member.sample}",
    )
