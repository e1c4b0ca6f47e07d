"""Promises about files: documents and the copies that were made of them in other collections."""

import pytest

from ragstone.core.errors import DocumentExists, DocumentNotFound, HomeOfFile
from ragstone.core.models import Document, Scope
from ragstone.core.ports import Manifest
from ragstone.testing.manifest_contract.children import make_container
from ragstone.testing.manifest_contract.lists import all_documents
from ragstone.testing.manifest_contract.scenes import SCOPE, TENANT, make_ready, purge_all, upload
from ragstone.testing.refusal import refusal

SHELF = Scope(TENANT, "shelf")


async def copied(manifest: Manifest, file: Document, scope: Scope = SHELF) -> Document:
    """A copy of a file, as attaching makes it."""
    accepted = await upload(manifest, f"file:{file.id}", scope=scope, copy_of=file.id)
    return accepted.document


class FilePromises:
    """What files promise."""

    @pytest.fixture
    async def file(self, manifest: Manifest) -> Document:
        """One that is ready, and a collection to attach it to."""
        await manifest.create_collection(TENANT, "shelf", "")
        return await make_ready(manifest, "file")

    async def test_a_copy_is_known_by_its_file(self, manifest: Manifest, file: Document) -> None:
        """And listed once, as long as the file is there."""
        copy = await copied(manifest, file)
        assert (copy.copy_of, copy.collection) == (file.id, "shelf")
        assert [each.id for each in await manifest.attached_files(SHELF, [file.id])] == [copy.id]
        assert [each.id for each in await manifest.attached_files(SCOPE, [file.id])] == [file.id]
        assert (await manifest.get_file(TENANT, file.id)).id == file.id
        listed = await manifest.list_files(TENANT, beside=None, is_descending=True, limit=9)
        assert [each.id for each in listed[0]] == [file.id]

    async def test_a_copy_is_the_file_once_the_document_is_gone(
        self, manifest: Manifest, file: Document
    ) -> None:
        """The oldest of them; and the last one cannot be detached."""
        copy = await copied(manifest, file)
        await manifest.delete_document(TENANT, file.id)
        assert (await manifest.get_file(TENANT, file.id)).id == copy.id
        listed = await manifest.list_files(TENANT, beside=None, is_descending=True, limit=9)
        assert [each.id for each in listed[0]] == [copy.id]
        await refusal(manifest.detach_file(SHELF, file.id), HomeOfFile)
        await refusal(manifest.delete_collection_of_copies(TENANT, "shelf"), HomeOfFile)

    async def test_a_deleted_file_goes_with_all_its_copies(self, manifest: Manifest, file: Document) -> None:
        """In one commit, with one purge."""
        await copied(manifest, file)
        deletion = await manifest.delete_file(TENANT, file.id)
        assert len(deletion.targets) == 2
        assert await all_documents(manifest, scope=SHELF) == []
        await refusal(manifest.get_file(TENANT, file.id), DocumentNotFound)
        await refusal(manifest.delete_file(TENANT, file.id), DocumentNotFound)
        await purge_all(manifest)

    async def test_nothing_is_copied_of_what_is_gone(self, manifest: Manifest, file: Document) -> None:
        """Not even where a delete came in between."""
        await manifest.delete_file(TENANT, file.id)
        await refusal(copied(manifest, file), DocumentNotFound)

    async def test_a_copy_is_taken_out_and_the_file_stays(self, manifest: Manifest, file: Document) -> None:
        """The file itself is not taken out of where it is."""
        await copied(manifest, file)
        await refusal(manifest.detach_file(SCOPE, "unknown"), DocumentNotFound)
        await manifest.detach_file(SHELF, file.id)
        assert await manifest.attached_files(SHELF, [file.id]) == []
        await refusal(manifest.detach_file(SCOPE, file.id), HomeOfFile)

    async def test_a_source_that_looks_like_a_copys_is_none(self, manifest: Manifest, file: Document) -> None:
        """Nor can a copy take its place, or it that of a copy."""
        forged = (await upload(manifest, f"file:{file.id}", scope=SHELF)).document
        assert await manifest.attached_files(SHELF, [file.id]) == []
        await refusal(copied(manifest, file), DocumentExists)
        await refusal(manifest.detach_file(SHELF, forged.id), HomeOfFile)

    async def test_a_collection_of_copies_is_deleted_without_losing_a_file(
        self, manifest: Manifest, file: Document
    ) -> None:
        """One with a file of its own is not."""
        await copied(manifest, file)
        assert await manifest.delete_collection_of_copies(TENANT, "shelf") == 1
        assert (await manifest.get_file(TENANT, file.id)).id == file.id
        await manifest.create_collection(TENANT, "home", "")
        await upload(manifest, "own", scope=Scope(TENANT, "home"))
        await refusal(manifest.delete_collection_of_copies(TENANT, "home"), HomeOfFile)

    async def test_what_is_inside_of_a_file_is_no_file_of_its_own(self, manifest: Manifest) -> None:
        """It is neither listed nor taken out."""
        container = await make_container(manifest, inner="text")
        (inner,) = container.children
        listed = await manifest.list_files(TENANT, beside=None, is_descending=True, limit=9)
        assert [each.id for each in listed[0]] == [container.id]
        assert (await manifest.get_file(TENANT, inner.id)).id == inner.id
        await refusal(manifest.detach_file(SCOPE, inner.id), HomeOfFile)
