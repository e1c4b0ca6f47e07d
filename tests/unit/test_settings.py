"""Settings: unknown names are refused, bad values named in a sentence, foreign names left alone."""

from datetime import timedelta
from pathlib import Path

import pytest

from ragstone.config.settings import Settings, load_settings, setting_names
from ragstone.core.errors import InvalidSetting
from ragstone.parsers.bounds import Limits
from ragstone.vector_homes import shown
from ragstone.vectorstores.qdrant_collection import Layout


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in setting_names():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def test_nothing_is_needed_to_start() -> None:
    settings = load_settings()

    assert settings.data_dir == Path("ragstone-data")
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert settings.allowed_hosts == settings.cors_origins == ()


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGSTONE_DATA_DIR", "/srv/ragstone")
    monkeypatch.setenv("RAGSTONE_REQUEST_TIMEOUT_SECONDS", "2.5")
    monkeypatch.setenv("LOG_REQUESTS", "false")

    settings = load_settings()

    assert settings.data_dir == Path("/srv/ragstone")
    assert settings.request_timeout == timedelta(seconds=2.5)
    assert settings.log_requests is False


def test_lists_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORS_ORIGINS", "https://a.example, https://b.example,,")
    monkeypatch.setenv("RAGSTONE_ALLOWED_HOSTS", "")

    settings = load_settings()

    assert settings.cors_origins == ("https://a.example", "https://b.example")
    assert settings.allowed_hosts == ()


def test_the_environment_wins_over_the_env_file_and_the_command_line_over_both(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path(".env").write_text("RAGSTONE_PORT=1\nLOG_LEVEL=ERROR\nRAGSTONE_HOST=::1\n")
    monkeypatch.setenv("RAGSTONE_PORT", "2")

    settings = load_settings(host="127.0.0.2")

    assert (settings.port, settings.log_level, settings.host) == (2, "ERROR", "127.0.0.2")


def test_an_unknown_ragstone_name_is_refused_with_the_nearest_known_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RAGSTONE_DATADIR", "x")

    with pytest.raises(InvalidSetting, match=r"RAGSTONE_DATADIR.*RAGSTONE_DATA_DIR"):
        load_settings()


def test_an_unknown_ragstone_name_in_the_env_file_is_refused_too() -> None:
    Path(".env").write_text("RAGSTONE_PROT=1\n")

    with pytest.raises(InvalidSetting, match=r"RAGSTONE_PROT.*RAGSTONE_PORT"):
        load_settings()


def test_foreign_names_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("POSTGRES_PASSWORD=secret\nPORT=1\n")
    monkeypatch.setenv("DATA_DIR", "/elsewhere")
    monkeypatch.setenv("HOST", "0.0.0.0")

    settings = load_settings()

    assert (settings.data_dir, settings.port, settings.host) == (Path("ragstone-data"), 8000, "127.0.0.1")


def test_the_case_of_levels_and_formats_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOG_LEVEL", "debug")
    monkeypatch.setenv("LOG_FORMAT", "TEXT")

    settings = load_settings()

    assert (settings.log_level, settings.log_format) == ("DEBUG", "text")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RAGSTONE_PORT", "70000"),
        ("RAGSTONE_PORT", "http"),
        ("RAGSTONE_REQUEST_TIMEOUT_SECONDS", "0"),
        ("RAGSTONE_REQUEST_TIMEOUT_SECONDS", "-1"),
        ("RAGSTONE_REQUEST_TIMEOUT_SECONDS", "soon"),
        ("RAGSTONE_REQUEST_TIMEOUT_SECONDS", "nan"),
        ("RAGSTONE_REQUEST_TIMEOUT_SECONDS", "inf"),
        ("RAGSTONE_MAX_UPLOAD_BYTES", "0"),
        ("RAGSTONE_MAX_QUEUED_JOBS", "many"),
        ("RAGSTONE_EMBEDDING_PRECISION", "int4"),
        ("LOG_LEVEL", "LOUD"),
        ("LOG_REQUESTS", "perhaps"),
    ],
)
def test_a_bad_value_is_one_sentence_that_names_the_setting(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(InvalidSetting) as refusal:
        load_settings()

    assert name in refusal.value.message
    assert "\n" not in refusal.value.message


def test_every_setting_explains_itself() -> None:
    assert all(field.description for field in Settings.model_fields.values())


class TestModels:
    def test_without_a_key_or_a_base_url_answers_are_extractive(self) -> None:
        settings = load_settings()

        assert list(settings.llm_options()) == ["extractive"]
        assert settings.receivers() == ()

    @pytest.mark.parametrize(
        "name_and_value", [("OPENAI_API_KEY", "sk-1"), ("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")]
    )
    def test_with_one_the_model_answers_by_default(
        self, monkeypatch: pytest.MonkeyPatch, name_and_value: tuple[str, str]
    ) -> None:
        monkeypatch.setenv(*name_and_value)
        monkeypatch.setenv("OPENAI_MODEL", "m")
        monkeypatch.setenv("RAGSTONE_OPENAI_MODELS", "n, m")

        settings = load_settings()

        assert list(settings.llm_options()) == ["openai", "extractive"]
        assert settings.llm_options()["openai"]["models"] == ("m", "n")

    def test_a_key_without_a_model_is_refused_with_what_to_set(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")

        with pytest.raises(InvalidSetting, match="not valid: OPENAI_MODEL is required") as failure:
            load_settings()

        assert "canary" not in str(failure.value)

    def test_a_key_for_embeddings_alone_needs_no_model(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-1")

        settings = load_settings(
            llm_provider="extractive",
            embedding_provider="openai",
            embedding_model="e",
            embedding_dimension=8,
        )

        assert list(settings.llm_options()) == ["extractive"]
        assert settings.embedder_options()["api_key"] == "sk-1"
        assert settings.receivers() == ("api.openai.com",)

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"llm_provider": "openai"}, "needs OPENAI_API_KEY or OPENAI_BASE_URL"),
            ({"llm_provider": "openai", "openai_model": "m"}, "needs OPENAI_API_KEY or OPENAI_BASE_URL"),
            ({"llm_provider": "aisuite"}, "needs RAGSTONE_AISUITE_MODELS"),
            ({"embedding_provider": "openai"}, "RAGSTONE_EMBEDDING_DIMENSION"),
            ({"openai_base_url": "localhost:11434"}, "expected a URL"),
            ({"retry_min_wait": 5, "retry_max_wait": 1}, "less than"),
        ],
    )
    def test_half_a_configuration_is_refused(self, given: dict[str, object], said: str) -> None:
        with pytest.raises(InvalidSetting, match=said):
            load_settings(**given)

    def test_an_empty_temperature_sends_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("LLM_TEMPERATURE", "")

        assert load_settings().llm_temperature is None

    def test_empty_names_in_a_file_are_not_set(self) -> None:
        Path(".env").write_text("OPENAI_API_KEY=\nOPENAI_BASE_URL=\nOPENAI_MODEL=\nRAGSTONE_LLM_PROVIDER=\n")

        assert list(load_settings().llm_options()) == ["extractive"]

    def test_keys_do_not_show(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
        monkeypatch.setenv("OPENAI_MODEL", "m")

        assert "canary" not in repr(load_settings())

    def test_every_host_that_receives_text_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        settings = load_settings(
            openai_base_url="https://user:secret@llm.example/v1",
            openai_model="m",
            embedding_provider="openai",
            embedding_base_url="http://127.0.0.1:8080/v1",
            embedding_model="e",
            embedding_dimension=8,
            aisuite_models="anthropic:claude,mistral:large",
        )

        assert settings.receivers() == ("llm.example", "127.0.0.1", "anthropic", "mistral")


class TestReranker:
    def test_without_a_url_there_is_none(self) -> None:
        assert load_settings().reranker_options() is None
        assert load_settings(rerank_provider="cohere", rerank_api_key="k").reranker_options() is None

    def test_with_one_the_rest_has_defaults(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("RAGSTONE_RERANK_URL", "http://127.0.0.1:8080")
        monkeypatch.setenv("RAGSTONE_RERANK_TIMEOUT_SECONDS", "1.5")
        monkeypatch.setenv("RAGSTONE_RERANK_API_KEY", "")

        settings = load_settings()

        expected = {"url": "http://127.0.0.1:8080", "api_key": None, "model": None, "timeout_s": 1.5}
        assert settings.reranker_options() == expected
        assert (settings.rerank_provider, settings.rerank_top_n) == ("tei", 30)

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"rerank_provider": "cohere"}, "cohere needs RAGSTONE_RERANK_MODEL"),
            ({"rerank_provider": "cohere", "rerank_model": " "}, "cohere needs RAGSTONE_RERANK_MODEL"),
            ({"rerank_url": "reranker:8080"}, "RAGSTONE_RERANK_URL: expected a URL such as http"),
            ({"rerank_provider": "jina"}, "RAGSTONE_RERANK_PROVIDER"),
            ({"rerank_top_n": 0}, "RAGSTONE_RERANK_TOP_N"),
            ({"rerank_top_n": 201}, "RAGSTONE_RERANK_TOP_N"),
            ({"rerank_timeout": 0}, "RAGSTONE_RERANK_TIMEOUT_SECONDS"),
        ],
    )
    def test_what_cannot_work_is_one_sentence(self, given: dict[str, object], said: str) -> None:
        with pytest.raises(InvalidSetting, match=said) as refused:
            load_settings(**{"rerank_url": "http://127.0.0.1:8080", **given})

        assert "\n" not in refused.value.message

    def test_its_host_is_named_and_its_key_is_not(self) -> None:
        settings = load_settings(
            rerank_url="https://user:canary-1@rerank.example/v1", rerank_api_key="canary-2"
        )

        assert settings.receivers() == ("rerank.example",)
        assert set(settings.secret_values()) == {"canary-1", "canary-2"}
        assert "canary-2" not in repr(settings)


class TestQdrant:
    def test_a_collection_is_laid_out_for_one_node_and_changes_reach_all_copies(self) -> None:
        assert Layout(8, **load_settings().qdrant_layout()) == Layout(8)
        copied = load_settings(qdrant_replication_factor=3).qdrant_layout()
        assert (copied["replication_factor"], copied["write_consistency_factor"]) == (3, 3)

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"qdrant_url": "qdrant:6333"}, "such as http://127.0.0.1:6333"),
            ({"qdrant_write_consistency_factor": 2}, "is more than RAGSTONE_QDRANT_REPLICATION_FACTOR"),
            ({"qdrant_quantization": "binary"}, "RAGSTONE_QDRANT_QUANTIZATION"),
        ],
    )
    def test_what_no_server_could_do_is_refused(self, given: dict[str, object], said: str) -> None:
        with pytest.raises(InvalidSetting, match=said):
            load_settings(**given)

    def test_its_host_is_named_and_its_key_is_not(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("QDRANT_URL", "https://user:canary@qdrant.example:6333")
        monkeypatch.setenv("QDRANT_API_KEY", "canary")
        settings = load_settings()
        assert settings.receivers() == ("qdrant.example",)
        assert settings.qdrant_key == "canary"
        assert "canary" not in repr(settings).replace(settings.qdrant_url or "", "")
        assert (
            shown("https://user:canary@qdrant.example:6333/x?key=canary") == "https://qdrant.example:6333/x"
        )


def test_limits_of_the_reader_are_as_the_reader_has_them() -> None:
    assert Limits(**load_settings().parse_limits()) == Limits()


def test_limits_of_the_reader_are_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGSTONE_PARSE_CPU_SECONDS", "600")
    monkeypatch.setenv("RAGSTONE_PARSE_MAX_PAGES", "10")
    monkeypatch.setenv("RAGSTONE_OCR_LANGUAGES", "eng+deu")

    limits = Limits(**load_settings().parse_limits())

    assert (limits.cpu_s, limits.pages, limits.ocr_languages) == (600, 10, "eng+deu")


@pytest.mark.parametrize("languages", ["", "eng;rm", "../x", "-l", "eng+"])
def test_languages_are_names_of_languages(monkeypatch: pytest.MonkeyPatch, languages: str) -> None:
    monkeypatch.setenv("RAGSTONE_OCR_LANGUAGES", languages)

    with pytest.raises(InvalidSetting, match="RAGSTONE_OCR_LANGUAGES"):
        load_settings()


def test_all_that_is_secret_is_known() -> None:
    settings = load_settings(
        openai_api_key="sk-1",
        embedding_api_key="sk-2",
        openai_base_url="https://user:word@llm.example/v1",
        openai_model="m",
        otlp_endpoint="https://token@traces.example",
    )

    assert set(settings.secret_values()) == {"sk-1", "sk-2", "word", "token"}
    assert load_settings().secret_values() == ()
