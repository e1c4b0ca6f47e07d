"""Sending calls, with retries: for programs that wait in a thread, and for those that await. What is decided is decided
in Call, Server and Attempts; the two classes differ in how they wait."""

import time
from typing import Any, TypeVar

import anyio
import httpx2

from ragstone.client.call import Call
from ragstone.client.errors import CallFailed, error_of
from ragstone.client.events import AsyncEvents, Events
from ragstone.client.retries import Attempts
from ragstone.client.server import Server, pause_s

T = TypeVar("T")


class Connection:
    """For programs that wait."""

    def __init__(self, http: httpx2.Client, server: Server):
        self.http = http
        self.server = server

    def send(self, call: Call[T]) -> T:
        """The reply. Raises CallFailed."""
        attempts = self.server.begin(call)
        while True:
            try:
                reply = call.read(self._exchange(call, attempts))
            except CallFailed as failure:
                time.sleep(pause_s(call, failure, attempts))
            else:
                attempts.succeed()
                return reply

    def open(self, call: Call[Any]) -> Events:
        """The events of a stream; it is begun again only until the first of them is here. Raises CallFailed."""
        attempts = self.server.begin(call)
        while True:
            try:
                events = Events(self._begin(call, attempts), self.server)
                events.prefetch()
            except CallFailed as failure:
                time.sleep(pause_s(call, failure, attempts))
            else:
                attempts.succeed()
                return events

    def _exchange(self, call: Call[Any], attempts: Attempts) -> httpx2.Response:
        try:
            with call.body() as body:
                return self.http.request(**_merged(self.server.request(call, attempts.timeout_s), body))
        except httpx2.RequestError as error:
            raise self.server.lost(error) from error

    def _begin(self, call: Call[Any], attempts: Attempts) -> httpx2.Response:
        with call.body() as body:
            asked = _merged(self.server.request(call, attempts.timeout_s), body)
        try:
            response = self.http.send(self.http.build_request(**_for_events(asked)), stream=True)
            if response.is_success:
                return response
            try:
                response.read()
            finally:
                response.close()
        except httpx2.RequestError as error:
            raise self.server.lost(error) from error
        raise error_of(response)


class AsyncConnection:
    """For programs that await; step by step as Connection."""

    def __init__(self, http: httpx2.AsyncClient, server: Server):
        self.http = http
        self.server = server

    async def send(self, call: Call[T]) -> T:
        """The reply. Raises CallFailed."""
        attempts = self.server.begin(call)
        while True:
            try:
                reply = call.read(await self._exchange(call, attempts))
            except CallFailed as failure:
                await anyio.sleep(pause_s(call, failure, attempts))
            else:
                attempts.succeed()
                return reply

    async def open(self, call: Call[Any]) -> AsyncEvents:
        """The events of a stream; it is begun again only until the first of them is here. Raises CallFailed."""
        attempts = self.server.begin(call)
        while True:
            try:
                events = AsyncEvents(await self._begin(call, attempts), self.server)
                await events.prefetch()
            except CallFailed as failure:
                await anyio.sleep(pause_s(call, failure, attempts))
            else:
                attempts.succeed()
                return events

    async def _exchange(self, call: Call[Any], attempts: Attempts) -> httpx2.Response:
        try:
            with call.body() as body:
                return await self.http.request(**_merged(self.server.request(call, attempts.timeout_s), body))
        except httpx2.RequestError as error:
            raise self.server.lost(error) from error

    async def _begin(self, call: Call[Any], attempts: Attempts) -> httpx2.Response:
        with call.body() as body:
            asked = _merged(self.server.request(call, attempts.timeout_s), body)
        try:
            response = await self.http.send(self.http.build_request(**_for_events(asked)), stream=True)
            if response.is_success:
                return response
            try:
                await response.aread()
            finally:
                await response.aclose()
        except httpx2.RequestError as error:
            raise self.server.lost(error) from error
        raise error_of(response)


def _merged(request: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    headers = {**request["headers"], **body.get("headers", {})}
    return {**request, **body, "headers": headers}


def _for_events(request: dict[str, Any]) -> dict[str, Any]:
    return {**request, "headers": {**request["headers"], "Accept": "text/event-stream"}}
