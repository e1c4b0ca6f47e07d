import base64
import time
from email.message import EmailMessage

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragstone.core.errors import Encrypted, IngestError, ParseFailed, UnsafeArchive
from ragstone.core.models import ParsedDocument
from ragstone.parsers.bounds import MOST_CHILDREN
from ragstone.parsers.mail import MailParser
from ragstone.parsers.mail_headers import decode_base64, decode_words

HEAD = "From: Ada <ada@example.org>\nTo: Bo <bo@example.org>\nSubject: Plan\n"


def parse(source: str | bytes) -> ParsedDocument:
    return MailParser().parse(source if isinstance(source, bytes) else source.encode())


def texts(source: str | bytes) -> list[str]:
    parsed = parse(source)
    return [parsed.text[block.start : block.end] for block in parsed.blocks]


def multipart(*parts: str, kind: str = "mixed", head: str = HEAD) -> str:
    body = "".join(f"--b\n{part}\n" for part in parts)
    return f"{head}Content-Type: multipart/{kind}; boundary=b\n\npreamble\n{body}--b--\nepilogue\n"


PLAIN = "Content-Type: text/plain; charset=utf-8\n\nHello.\n\nBye."
HTML = "Content-Type: text/html; charset=utf-8\n\n<h1>Big</h1><p>Hel<b>lo</b></p><img src=http://x/pixel.gif>"


class TestText:
    def test_subject_is_title_and_heading_of_all(self) -> None:
        parsed = parse(HEAD + "Date: Fri, 1 May 2026 10:00:00 +0200\nCc: C\nBcc: D\n\nHello.\n\n> quoted\n")
        assert parsed.title == "Plan"
        assert [parsed.text[block.start : block.end] for block in parsed.blocks] == [
            "Plan",
            "From: Ada <ada@example.org>\nTo: Bo <bo@example.org>\nCc: C\nDate: Fri, 1 May 2026 10:00:00 +0200",
            "Hello.",
            "> quoted",
        ]
        assert {block.heading for block in parsed.blocks} == {("Plan",)}

    def test_plain_text_goes_before_html(self) -> None:
        assert texts(multipart(PLAIN, HTML, kind="alternative"))[2:] == ["Hello.", "Bye."]

    def test_html_where_the_plain_text_is_blank(self) -> None:
        parsed = parse(multipart("Content-Type: text/plain\n\n \n", HTML, kind="alternative"))
        assert [block.heading for block in parsed.blocks][2:] == [("Plan", "Big"), ("Plan", "Big")]
        assert parsed.text.endswith("Big\n\nHello")

    def test_quoted_printable_and_base64_are_decoded(self) -> None:
        quoted = "Content-Transfer-Encoding: quoted-printable\nContent-Type: text/plain; charset=iso-8859-1\n\nGr=F6=\n=DFe"
        encoded = base64.encodebytes("漢字".encode()).decode()
        other = f"Content-Transfer-Encoding: BASE64\nContent-Type: text/plain; charset=utf-8\n\n{encoded}"
        assert texts(multipart(quoted, other))[2:] == ["Größe", "漢字"]

    @pytest.mark.parametrize("charset", ["us-ascii", "utf-8", "no-such", "zlib", "utf-16", '"', "\0"])
    def test_text_survives_a_charset_that_is_wrong(self, charset: str) -> None:
        source = (
            f"Subject: x\nContent-Type: text/plain; charset={charset}\n\nDie Größe zählt, für uns überall.\n"
        )
        assert "zählt" in parse(source.encode("cp1252")).text

    def test_lines_that_were_broken_for_the_journey_are_joined(self) -> None:
        assert texts(HEAD + "Content-Type: text/plain; format=flowed\n\none \ntwo\nthree \n> no\n")[2:] == [
            "one two\nthree \n> no"
        ]

    def test_carriage_returns_do_not_stay(self) -> None:
        assert texts(multipart(PLAIN, PLAIN).replace("\n", "\r\n"))[2:] == ["Hello.", "Bye."] * 2

    def test_report_of_a_server_is_text(self) -> None:
        status = "Content-Type: message/delivery-status\n\nStatus: 5.1.1\n\nAction: failed"
        assert texts(multipart(PLAIN, status, kind="report"))[-1] == "Action: failed"

    def test_body_of_a_multipart_without_parts_is_read(self) -> None:
        assert texts(HEAD + "Content-Type: multipart/mixed\n\nstill text\n")[-1] == "still text"


class TestHeaders:
    @pytest.mark.parametrize(
        ("raw", "shown"),
        [
            ("=?utf-8?q?Gr=C3=B6=C3=9Fe?= und =?iso-8859-1?Q?_m=FCde?=", "Größe und  müde"),
            ("=?utf-8?b?R3LD?=\n =?utf-8?b?tsOfZQ==?=", "Größe"),
            ("=?utf-8?b?!!R3LDtg?=", "Grö"),
            ("=?no-such?q?a=20b?=", "a b"),
            ("=?x?", "=?x?"),
            ("=?iso-2022-jp?b?GyRCNEE7ehsoQg==?=", "漢字"),
        ],
    )
    def test_encoded_words(self, raw: str, shown: str) -> None:
        assert decode_words(raw) == shown

    def test_bytes_beyond_ascii_are_read_as_what_they_are(self) -> None:
        assert parse("Subject: Größe\n\nx".encode()).title == "Größe"
        assert parse("Subject: Die Größe für uns\n\nx".encode("cp1252")).title == "Die Größe für uns"

    def test_line_that_is_no_header_is_passed_over(self) -> None:
        assert parse("From x Mon\ngarbage\nSubject: a\n b\n\nbody").title == "a b"

    @pytest.mark.parametrize(
        "content", ["no headers here\n\ntext", "Foo: bar\n\ntext", "x", "\n\n\n", "Subject"]
    )
    def test_what_is_no_mail_is_refused(self, content: str) -> None:
        with pytest.raises(ParseFailed):
            parse(content)


class TestAttachments:
    def test_they_are_children_under_their_decoded_names(self) -> None:
        mail = EmailMessage()
        mail["Subject"] = "Files"
        mail.set_content("See below.")
        mail.add_attachment(b"%PDF-", maintype="application", subtype="pdf", filename="Größe 漢字.pdf")
        mail.add_attachment(b"tnef", maintype="application", subtype="ms-tnef", filename="winmail.dat")
        mail.add_attachment("text inside", filename="../../etc/passwd")
        parsed = parse(mail.as_bytes())
        assert [(child.filename, child.content, child.media_type) for child in parsed.children] == [
            ("Größe 漢字.pdf", b"%PDF-", "application/pdf"),
            ("winmail.dat", b"tnef", "application/ms-tnef"),
            ("etc/passwd", b"text inside\n", "text/plain"),
        ]
        assert "text inside" not in parsed.text

    @pytest.mark.parametrize(
        "name",
        [
            'name="=?utf-8?q?Gr=C3=B6=C3=9Fe.txt?="',
            "name*=utf-8''Gr%C3%B6%C3%9Fe.txt",
            "name*0*=utf-8''Gr%C3%B6; name*1*=%C3%9Fe.txt",
            'name="Größe.txt"',
        ],
    )
    def test_names_in_all_encodings(self, name: str) -> None:
        part = f"Content-Type: application/x; {name}\nContent-Disposition: attachment\n\nx"
        assert parse(multipart(part)).children[0].filename == "Größe.txt"

    def test_images_in_the_body_are_none(self) -> None:
        image = "Content-Type: image/png; name=logo.png\nContent-ID: <a>\nContent-Disposition: inline\n\nx"
        related = f"Content-Type: multipart/related; boundary=r\n\n--r\n{HTML}\n--r\n{image}\n--r--"
        attached = "Content-Type: image/png\nContent-Disposition: attachment; filename=photo.png\n\nx"
        assert [child.filename for child in parse(multipart(related, image, attached)).children] == [
            "photo.png"
        ]

    def test_attachment_in_the_alternative_not_taken_is_kept(self) -> None:
        pdf = "Content-Type: application/pdf\nContent-Disposition: attachment; filename=a.pdf\n\nx"
        rich = f"Content-Type: multipart/mixed; boundary=m\n\n--m\n{HTML}\n--m\n{pdf}\n--m--"
        parsed = parse(multipart(PLAIN, rich, kind="alternative"))
        assert (parsed.text.count("Hello"), len(parsed.children)) == (1, 1)

    def test_forwarded_mail_keeps_its_bytes(self) -> None:
        inner = "Subject: In/ner\nX-Odd:  spaces \n\ntext --b\n"
        parsed = parse(multipart(PLAIN, f"Content-Type: message/rfc822\n\n{inner}"))
        assert parsed.children[0].filename == "In-ner.eml"
        assert parsed.children[0].content == inner.encode()

    def test_signature_is_none(self) -> None:
        signature = "Content-Type: application/pgp-signature; name=signature.asc\n\n-----BEGIN"
        assert not parse(multipart(PLAIN, signature, kind="signed")).children

    @pytest.mark.parametrize(
        "source",
        [
            multipart("Content-Type: application/pgp-encrypted\n\nVersion: 1", kind="encrypted"),
            HEAD + "Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m\n\nx",
            HEAD + "\n-----BEGIN PGP MESSAGE-----\n\nx\n",
        ],
    )
    def test_encrypted_mail_is_refused(self, source: str) -> None:
        with pytest.raises(Encrypted):
            parse(source)


class TestHostile:
    def test_ten_thousand_parts(self) -> None:
        with pytest.raises(UnsafeArchive, match=str(MOST_CHILDREN)):
            parse(multipart(*["\nx"] * 10_000))

    def test_a_thousand_levels(self) -> None:
        levels = "".join(f"Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n" for n in range(1000))
        assert "the end" in parse(f"Subject: x\n{levels}\nthe end").text

    def test_deep_parts_around_many_lines_take_linear_time(self) -> None:
        levels = "".join(f"Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n" for n in range(29))
        start = time.process_time()
        parse(f"Subject: x\n{levels}\n" + "--x\n" * 500_000)
        assert time.process_time() - start < 5

    @pytest.mark.parametrize(
        "header",
        [
            "Subject: " + "x" * 10_000_000,
            "Subject: " + "=?utf-8?q?x?= " * 100_000,
            "To: " + "(" * 1_000_000,
            "Content-Type: text/plain" + "; a*0*=x" * 100_000,
            "Content-Type: text/plain; name*1=a; name*x=b; name*999999999999999=c",
            "Content-Type: multipart/mixed; boundary*0*=x''%ff; boundary*1=" + "y" * 100_000,
            "X: y\n" * 200_000,
        ],
    )
    def test_headers_out_of_all_bounds(self, header: str) -> None:
        start = time.process_time()
        parsed = parse(f"From: a\n{header}\n\nbody")
        assert "body" in parsed.text or parsed.children
        assert time.process_time() - start < 3

    def test_damaged_base64_gives_what_can_be_decoded(self) -> None:
        assert decode_base64(b"SGVsbG8*gd29y\xffbGQ") == b"Hello world"
        assert decode_base64(b"A") == b""

    @settings(max_examples=150, deadline=None)
    @given(
        st.lists(
            st.sampled_from(
                [
                    *(
                        "Content-Type: multipart/mixed; boundary=b\n",
                        "Content-Type: message/rfc822\n",
                        "\n",
                        "--b\n",
                        "--b--",
                    ),
                    *(
                        "Content-Transfer-Encoding: base64\n",
                        "name*0*=a'b",
                        "; charset=x\n",
                        "Subject: =?a?b?c?=\n",
                        "\r\n",
                    ),
                    *(
                        "Content-Type: text/html\n",
                        "<p>x",
                        "Content-Disposition: attachment; filename=../\n",
                        "é",
                        "\0",
                        "=",
                    ),
                ]
            ),
            max_size=30,
        )
    )
    def test_whatever_comes_is_read_or_refused(self, pieces: list[str]) -> None:
        try:
            parse("Subject: a\n" + "".join(pieces))
        except IngestError:
            return
