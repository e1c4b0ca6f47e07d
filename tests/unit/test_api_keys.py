"""API keys: what settings may hold, the key in the data directory, and whose key a caller has."""

import multiprocessing
import stat
from pathlib import Path

import pytest

from ragstone.auth.keys import ApiKeys
from ragstone.auth.local_key import ensure_local_key, find_local_key, local_key_path
from ragstone.config.api_keys import parse_keys
from ragstone.config.settings import load_settings
from ragstone.core.errors import InvalidSetting, StartupError

KEY, OTHER = "k3y-0123456789abcdef", "0ther-0123456789abcdef"


class TestSettings:
    def test_each_key_has_a_label(self) -> None:
        settings = load_settings(api_keys=f"web:{KEY}, {OTHER}")

        assert [key.label for key in settings.api_keys] == ["web", "key-2"]
        assert [key.key.get_secret_value() for key in settings.api_keys] == [KEY, OTHER]

    def test_a_key_may_hold_a_colon(self) -> None:
        assert parse_keys(f"web:{KEY}:x")[0].key.get_secret_value() == f"{KEY}:x"

    def test_no_key_is_shown(self) -> None:
        assert KEY not in repr(load_settings(api_keys=f"web:{KEY}"))

    @pytest.mark.parametrize("text", ["", " ", ",", " , "])
    def test_nothing_means_no_keys(self, text: str) -> None:
        assert load_settings(api_keys=text).api_keys == ()

    @pytest.mark.parametrize(
        "text",
        [
            *(
                "changeme",
                "web:changeme",
                "web:short123",
                "web:",
                "web:0123456789abcde",
                "web:change-me-change-me",
            ),
            *(
                f"local:{KEY}",
                f":{KEY}",
                f"a b:{KEY}",
                f"{'x' * 65}:{KEY}",
                f"web:{KEY} {KEY}",
                f"web:{KEY}é",
            ),
            *(f"web:{KEY},web:{OTHER}", f"web:{KEY},app:{KEY}"),
        ],
    )
    def test_weak_or_ambiguous_keys_are_refused_unseen(self, text: str) -> None:
        with pytest.raises(InvalidSetting, match="RAGSTONE_API_KEYS") as failure:
            load_settings(api_keys=text)

        assert KEY not in str(failure.value)

    @pytest.mark.parametrize(
        ("host", "keys", "needed"),
        [
            ("127.0.0.1", "", False),
            ("::1", "", False),
            ("localhost", "", False),
            ("127.0.0.1", f"web:{KEY}", True),
            ("0.0.0.0", "", True),
            ("rag.example", "", True),
        ],
    )
    def test_keys_are_needed_beyond_loopback_and_where_there_are_any(
        self, host: str, keys: str, *, needed: bool
    ) -> None:
        assert load_settings(host=host, api_keys=keys).needs_keys is needed


class TestApiKeys:
    def test_a_key_tells_its_label(self) -> None:
        keys = ApiKeys({"web": KEY, "app": OTHER})

        assert (keys.label_of(KEY), keys.label_of(OTHER)) == ("web", "app")

    @pytest.mark.parametrize("given", ["", KEY[:-1], KEY + "x", KEY.upper(), f" {KEY}", "\udc80", KEY + "\0"])
    def test_what_only_resembles_a_key_is_nobodys(self, given: str) -> None:
        assert ApiKeys({"web": KEY}).label_of(given) is None

    def test_the_keys_are_not_kept(self) -> None:
        assert KEY not in str(vars(ApiKeys({"web": KEY})))


class TestLocalKey:
    def test_it_is_made_once_for_its_owner_alone(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        key = ensure_local_key(tmp_path)

        assert len(key) >= 40
        assert ensure_local_key(tmp_path) == find_local_key(tmp_path) == key
        assert stat.S_IMODE(local_key_path(tmp_path).stat().st_mode) == 0o600
        assert [path.name for path in tmp_path.iterdir()] == ["api-key"]
        assert [vars(record)["path"] for record in caplog.records] == [str(tmp_path / "api-key")]
        assert key not in caplog.text

    def test_two_directories_have_two_keys(self, tmp_path: Path) -> None:
        (tmp_path / "other").mkdir()

        assert ensure_local_key(tmp_path) != ensure_local_key(tmp_path / "other")

    def test_processes_that_start_together_agree(self, tmp_path: Path) -> None:
        with multiprocessing.get_context("forkserver").Pool(4) as pool:
            keys = pool.map(ensure_local_key, [tmp_path] * 8)

        assert set(keys) == {find_local_key(tmp_path)}

    def test_none_is_found_where_there_is_none(self, tmp_path: Path) -> None:
        assert find_local_key(tmp_path) is None
        assert find_local_key(tmp_path / "nowhere") is None

    @pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe"])
    def test_a_broken_one_is_told(self, tmp_path: Path, content: bytes) -> None:
        local_key_path(tmp_path).write_bytes(content)

        with pytest.raises(StartupError, match="remove the file"):
            ensure_local_key(tmp_path)

    def test_a_folder_that_cannot_be_written_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(StartupError, match="no API key can be written"):
            ensure_local_key(tmp_path / "nowhere")
