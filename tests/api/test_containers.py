"""Documents inside documents: an archive and a mail, from upload to citation to delete."""

import bz2
import io
import lzma
import zipfile
from email.message import EmailMessage
from typing import Any

from tests.apiclient import Api
from tests.waiting import until

POLICY = "Refunds are paid within 14 days after a parcel has come back."


def archive(**members: bytes | str) -> bytes:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as packed:
        for name, content in members.items():
            packed.writestr(name.replace("__", "/").replace("_", "."), content)
    return raw.getvalue()


def mail(attachment: bytes, name: str) -> bytes:
    message = EmailMessage()
    message["Subject"] = "The new policy"
    message.set_content("Please read what is attached before Monday.")
    message.add_attachment(attachment, maintype="application", subtype="octet-stream", filename=name)
    return message.as_bytes()


async def settled(api: Api, document_id: str) -> dict[str, Any]:
    """The container once its parts are settled, at every depth."""

    async def is_settled(one: str = document_id) -> bool:
        document = await api.get(f"/documents/{one}")
        if document["status"] not in ("ready", "failed") or document["pending"] is not None:
            return False
        return all([await is_settled(child["id"]) for child in document["children"]])

    await until(is_settled)
    return await api.get(f"/documents/{document_id}")


async def test_files_in_an_archive_are_documents_that_are_found_and_cited(api: Api, collection: str) -> None:
    content = archive(docs__policy_txt=POLICY, docs__empty_txt=" ", tool_exe=b"MZ\x90\x00" + bytes(100))
    container = await api.ready(content, "set.zip", collection=collection, metadata='{"team": "a"}')

    children = {child["member"]: child for child in (await settled(api, container["id"]))["children"]}

    states = {name: (child["status"], (child["error"] or {}).get("code")) for name, child in children.items()}
    assert states == {
        "docs/policy.txt": ("ready", None),
        "docs/empty.txt": ("failed", "no_text"),
        "tool.exe": ("failed", "unsupported_media_type"),
    }
    policy = await api.get(f"/documents/{children['docs/policy.txt']['id']}")
    assert (policy["parent_id"], policy["source"]) == (container["id"], "set.zip!/docs/policy.txt")
    where = {"field": "metadata.team", "eq": "a"}
    answer = await api.post(
        "/query", {"query": "When are refunds paid?", "collection": collection, "filter": where}
    )
    (citation,) = answer["citations"]
    assert (citation["source"]["document_id"], citation["verified"]) == (policy["id"], True)


async def test_a_mail_with_an_archive_is_read_to_its_depth(api: Api, collection: str) -> None:
    container = await api.ready(
        mail(archive(policy_txt=POLICY), "set.zip"), "mail.eml", collection=collection
    )

    (attachment,) = (await settled(api, container["id"]))["children"]
    (leaf,) = (await api.get(f"/documents/{attachment['id']}"))["children"]

    assert (attachment["member"], leaf["member"], leaf["status"]) == ("set.zip", "policy.txt", "ready")
    assert await api.text(leaf["id"]) == POLICY
    parts = await api.get("/documents", collection=collection, parent_id=container["id"])
    assert [item["id"] for item in parts["items"]] == [attachment["id"]]


async def test_what_is_nested_too_deep_fails_and_says_so(api: Api, collection: str) -> None:
    content = mail(POLICY.encode(), "policy.txt")
    for depth in range(4):
        content = mail(content, f"level-{depth}.eml")
    document = await api.ready(content, "top.eml", collection=collection)

    for _ in range(3):
        (child,) = (await settled(api, document["id"]))["children"]
        document = child

    assert (document["status"], document["error"]["code"]) == ("failed", "unsafe_archive")


async def test_a_new_archive_renews_what_changed_and_deletes_what_is_gone(api: Api, collection: str) -> None:
    container = await api.ready(archive(a_txt="One.", b_txt="Two."), "set.zip", collection=collection)
    before = {child["member"]: child["id"] for child in (await settled(api, container["id"]))["children"]}

    await api.ready(archive(a_txt="Other.", c_txt="Three."), "set.zip", collection=collection)

    after = {child["member"]: child["id"] for child in (await settled(api, container["id"]))["children"]}
    assert after.keys() == {"a.txt", "c.txt"}
    assert after["a.txt"] == before["a.txt"]
    assert await api.text(after["a.txt"]) == "Other."
    await api.refused("GET", f"/documents/{before['b.txt']}", 404)


async def test_deleting_the_container_deletes_its_parts_and_counts_them(api: Api, collection: str) -> None:
    text = f"Nobody else says {collection}."
    container = await api.ready(archive(a_txt=text, b_txt="Two."), "set.zip", collection=collection)
    children = (await settled(api, container["id"]))["children"]

    receipt = await api.delete(f"/documents/{container['id']}")

    assert (receipt["versions"], receipt["verified_absent"]) == (3, True)
    assert receipt["points_deleted"] >= 3
    for child in children:
        await api.refused("GET", f"/documents/{child['id']}", 404)
    found = await api.post("/search", {"query": text, "collection": collection})
    assert found["results"] == []


async def test_a_part_is_changed_through_its_container(api: Api, collection: str) -> None:
    container = await api.ready(archive(a_txt="One."), "set.zip", collection=collection)
    (child,) = (await settled(api, container["id"]))["children"]

    error = await api.refused("PUT", f"/documents/{child['id']}", 409, json={"text": "Two."})

    assert (error["code"], container["id"] in error["message"]) == ("conflict", True)


async def test_a_compressed_file_without_a_name_is_read_as_what_it_is(api: Api, collection: str) -> None:
    table = b"stone,weight\ngranite,3\nslate,2\n"
    for name, content in (("stones.csv.bz2", bz2.compress(table)), ("stones.csv.xz", lzma.compress(table))):
        container = await api.ready(content, name, collection=collection)
        (child,) = (await settled(api, container["id"]))["children"]
        assert (child["member"], child["status"]) == ("stones.csv", "ready")
        document = await api.get(f"/documents/{child['id']}")
        assert document["media_type"] == "text/csv"
