"""Health."""

import ragstone
from ragstone.bootstrap import Container
from tests.apiclient import Api


async def test_health_has_the_shape_that_its_users_know(api: Api) -> None:
    health = await api.get("/health")

    assert (health["status"], health["qdrant_connected"]) == ("healthy", True)
    assert health["api_version"] == ragstone.__version__
    assert health["uptime"] >= 0
    assert {"manifest", "vector_store", "ingestion"} <= set(health["components"])
    for part in health["components"].values():
        assert set(part) == {"healthy", "required", "age_s"}


async def test_alive_and_ready(api: Api) -> None:
    assert await api.get("/health/live") == {"status": "alive"}
    assert (await api.get("/health/ready"))["status"] == "ready"


async def test_a_server_on_its_way_out_is_alive_but_not_ready(api: Api, container: Container) -> None:
    container.health.is_stopping = True
    try:
        response = await api.http.get("/health/ready")
        assert (response.status_code, response.json()["status"]) == (503, "not_ready")
        assert response.headers["retry-after"] == "1"
        assert (await api.get("/health"))["status"] == "unhealthy"
        assert await api.get("/health/live") == {"status": "alive"}
    finally:
        container.health.is_stopping = False
