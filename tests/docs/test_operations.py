"""What operators are given besides the code: `.env.example`, compose file, health check, nginx's configuration."""

import http.server
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from ragstone.api.main import create_app
from ragstone.config.settings import ENV_FILE, Settings, load_settings, setting_names
from tests.docs.pages import DOCS, ROOT, fences, read
from tests.e2e.nginx import BINARY, free_port
from tests.servers import clean_environment
from tools.environment import FIXED

ENV_EXAMPLE = ROOT / ".env.example"
COMPOSE = ROOT / "docker-compose.yml"
NGINX = ROOT / "deploy" / "nginx.conf"


class TestEnvironment:
    def test_env_example_and_compose_file_are_what_the_settings_generate(self) -> None:
        checked = subprocess.run(
            [sys.executable, "-m", "tools.environment", "--check"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert checked.returncode == 0, checked.stderr

    def test_env_example_changes_nothing_as_it_stands_nor_with_every_comment_taken_away(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in setting_names():
            monkeypatch.delenv(name, raising=False)
        monkeypatch.chdir(tmp_path)
        for text in (read(ENV_EXAMPLE), re.sub(r"^#(\w+=.+)$", r"\1", read(ENV_EXAMPLE), flags=re.M)):
            (tmp_path / ENV_FILE).write_text(text)
            assert load_settings() == Settings(_env_file=None)

    def test_compose_passes_on_every_setting_that_it_does_not_decide(self) -> None:
        passed_on = set(re.findall(r"^    - ([A-Z_]+)$", read(COMPOSE), re.M))
        assert passed_on == set(setting_names()) - FIXED


class TestHealthCheck:
    @pytest.mark.parametrize(("status", "exit_code"), [(200, 0), (503, 1)])
    def test_exit_code_says_whether_the_api_is_ready(self, status: int, exit_code: int) -> None:
        with answering(status) as port:
            assert health_check(port) == exit_code

    def test_nobody_listening_is_not_ready(self) -> None:
        assert health_check(free_port()) == 1


class TestNginx:
    @pytest.mark.skipif(BINARY is None, reason="nginx is not installed")
    def test_configuration_of_the_replicas_is_valid(self, tmp_path: Path) -> None:
        text = re.sub(r"listen \d+;", f"listen 127.0.0.1:{free_port()};", read(NGINX))
        text = text.replace("/tmp/", f"{tmp_path}/")
        configuration = tmp_path / "nginx.conf"
        configuration.write_text(text)
        tried = subprocess.run(
            [str(BINARY), "-t", "-c", str(configuration)], capture_output=True, text=True, check=False
        )
        assert tried.returncode == 0, tried.stderr


class TestKubernetes:
    def test_outline_asks_for_routes_that_exist_and_names_settings_that_exist(self) -> None:
        (outline,) = map(yaml.safe_load, fences(read(DOCS / "deployment.md"), "yaml"))
        pod = outline["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        probes = {value["httpGet"]["path"] for name, value in container.items() if name.endswith("Probe")}
        assert probes <= set(create_app(Settings()).openapi()["paths"])
        assert {setting["name"] for setting in container["env"]} <= set(setting_names())

    def test_outline_gives_the_rights_and_the_time_that_the_compose_file_gives(self) -> None:
        (outline,) = map(yaml.safe_load, fences(read(DOCS / "deployment.md"), "yaml"))
        pod = outline["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert f"stop_grace_period: {pod['terminationGracePeriodSeconds']}s" in read(COMPOSE)
        assert f"--uid {pod['securityContext']['runAsUser']}" in read(ROOT / "Dockerfile")
        assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/data", "/tmp"}
        assert container["securityContext"]["readOnlyRootFilesystem"]


class TestCommands:
    def test_every_compose_service_that_the_pages_name_exists(self) -> None:
        services = set(re.findall(r"^  ([\w-]+):$", read(COMPOSE).partition("\nservices:\n")[2], re.M))
        shown = "".join(
            "".join(fences(read(page), "sh")) for page in (DOCS / "deployment.md", ROOT / "README.md")
        )
        named = set(
            re.findall(r"^docker-compose .*?(?:exec(?: -T)?|logs -f|up -d) ([a-z][\w-]*)", shown, re.M)
        )
        assert named
        assert named <= services


@contextmanager
def answering(status: int) -> Iterator[int]:
    """The port of a server that answers a readiness check so, and nothing else."""

    class Readiness(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/health/ready" else 404)
            self.end_headers()

        def log_request(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Readiness) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def health_check(port: int) -> int:
    """The exit code of the check as the image runs it, behind a proxy that nobody should ask."""
    environment = clean_environment(RAGSTONE_PORT=str(port), http_proxy="http://127.0.0.1:9")
    command = [sys.executable, "-I", "-S", str(ROOT / "deploy" / "healthcheck.py")]
    return subprocess.run(command, env=environment, check=False, timeout=10).returncode
