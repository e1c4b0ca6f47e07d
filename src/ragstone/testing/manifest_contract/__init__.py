"""What every manifest promises. Subclass `ManifestContract` with a fixture `manifest` that yields an empty one."""

from ragstone.testing.manifest_contract.changes import ChangePromises
from ragstone.testing.manifest_contract.children import ChildPromises
from ragstone.testing.manifest_contract.collections import CollectionPromises
from ragstone.testing.manifest_contract.deletes import DeletePromises
from ragstone.testing.manifest_contract.files import FilePromises
from ragstone.testing.manifest_contract.jobs import JobPromises
from ragstone.testing.manifest_contract.lists import ListPromises
from ragstone.testing.manifest_contract.purges import PurgePromises
from ragstone.testing.manifest_contract.records import RecordPromises
from ragstone.testing.manifest_contract.repairs import RepairPromises
from ragstone.testing.manifest_contract.uploads import UploadPromises
from ragstone.testing.manifest_contract.versions import VersionPromises


class ManifestContract(
    UploadPromises,
    VersionPromises,
    ChangePromises,
    ChildPromises,
    JobPromises,
    DeletePromises,
    PurgePromises,
    RepairPromises,
    CollectionPromises,
    ListPromises,
    RecordPromises,
    FilePromises,
):
    """All promises of `core.ports.Manifest`."""
