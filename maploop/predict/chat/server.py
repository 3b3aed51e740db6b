"""One server with its key: sends chat requests, and tells what came of each. The vendor's errors stop here."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import httpx2
import openai
import orjson
from pydantic import SecretStr

from maploop.errors import AccessError, ConflictError, MaploopError, NotFoundError
from maploop.imagery.sharing import is_own_server
from maploop.keys import key_for
from maploop.predict.chat.pace import seconds_to_rest
from maploop.predict.chat.parameters import OPENAI, ChatParameters
from maploop.predict.chat.said import clean
from maploop.predict.predictor import Failure, FailureKind

T = TypeVar("T")

_CONNECT_SECONDS: Final = 10.0
_NO_KEY: Final = "none"  # the SDK wants one; servers without keys do not look
_OF_THE_SDK: Final = re.compile(r"^Error code: \d+ - ")
_OUT_OF_MONEY: Final = frozenset({"insufficient_quota", "billing_hard_limit_reached", "insufficient_credits"})


@dataclass(frozen=True)
class Trouble:
    """Why a request brought no reply.

    again       whether the same request may do better
    unanswered  the server may have worked on it, and charged for that
    rest        seconds that the server wants to be left alone, where it said so
    complaint   all that it said of a request that it does not take
    """

    failure: Failure
    again: bool = False
    unanswered: bool = False
    rest: float | None = None
    complaint: str = ""


def plain_client(base_url: str) -> httpx2.Client:
    """Make the HTTP client for a server: what is sent there goes there, to nobody that it redirects to.

    What is sent to a server of one's own passes no proxy of the environment either.
    """
    return httpx2.Client(follow_redirects=False, trust_env=not is_own_server(base_url))


class ChatServer:
    """Safe to use from many threads."""

    def __init__(
        self, parameters: ChatParameters, *, key: SecretStr | None = None, http_client: httpx2.Client | None = None
    ) -> None:
        self._parameters = parameters
        self._key = key.get_secret_value() if key else ""
        self._client = openai.OpenAI(
            api_key=self._key or _NO_KEY,
            base_url=parameters.base_url,
            timeout=httpx2.Timeout(parameters.timeout, connect=min(_CONNECT_SECONDS, parameters.timeout)),
            max_retries=0,  # the pace is kept by whoever asks: all of them rest together
            http_client=http_client or plain_client(parameters.base_url),
        )
        if self.host != urlsplit(OPENAI).netloc:  # the SDK reads these from the environment, for OpenAI alone
            self._client.organization = self._client.project = None

    @property
    def host(self) -> str:
        """Who is asked, for people."""
        return urlsplit(self._parameters.base_url).netloc

    def close(self) -> None:
        """Let the connections go."""
        self._client.close()

    def complete(self, body: Mapping[str, Any], today: datetime) -> object:
        """The body of the reply to a chat request, whatever it is, or a Trouble.

        Raises MaploopError when no request of this kind can succeed: the key, the model or the account is at fault.
        """

        def send(client: openai.OpenAI) -> object:
            return _json(client.post("/chat/completions", body=dict(body), cast_to=httpx2.Response).content)

        return self.ask(send, f"model {str(body.get('model', ''))!r}", today)

    def ask(self, send: Callable[[openai.OpenAI], T], what: str, today: datetime) -> T | Trouble:
        """What a call of the vendor's client brings, or a Trouble; `what` it is about, for people.

        Raises MaploopError as `complete` does.
        """
        try:
            return send(self._client)
        except (openai.APIConnectionError, httpx2.TransportError) as error:
            return self._silence(error)
        except openai.APIStatusError as error:
            trouble = self._trouble(error, what, today)
        if isinstance(trouble, MaploopError):
            raise trouble  # outside of the handler: the vendor's error would show what it was sent
        return trouble

    def _silence(self, error: openai.APIConnectionError | httpx2.TransportError) -> Trouble:
        never_sent = isinstance(error.__cause__, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.PoolTimeout)
        if never_sent or not isinstance(error, openai.APITimeoutError | httpx2.TimeoutException):
            failure = Failure("unreachable", f"{self.host} does not answer, or hangs up: see whether it is running.")
        else:
            failure = Failure("timeout", f"{self.host} gave no answer within {self._parameters.timeout:g} seconds.")
        return Trouble(failure, again=True, unanswered=not never_sent)

    def _trouble(self, error: openai.APIStatusError, what: str, today: datetime) -> Trouble | MaploopError:
        words = _words(error)
        said = clean(words, key=self._key)
        status, code = error.status_code, str(error.code or "")
        if fatal := self._fatal(status, code, what, said):
            return fatal
        if status == 429:
            failure = Failure("rate_limit", f"{self.host} wants fewer requests for longer than they are held back.")
            return Trouble(failure, again=True, rest=seconds_to_rest(error.response.headers, today))
        if status in (408, 409) or status >= 500:
            kind: FailureKind = "timeout" if status in (408, 504) else "server"
            failure = Failure(kind, f"{self.host} failed ({status}): {said}")
            return Trouble(failure, again=True, rest=seconds_to_rest(error.response.headers, today))
        if "content_filter" in code or "content_policy" in code or "content management policy" in said:
            return Trouble(Failure("refused", f"{self.host} does not pass this picture on: {said}"))
        return Trouble(
            Failure("server", f"{self.host} does not take the request ({status}): {said}"),
            complaint=f"{words} {error.param or ''}",
        )

    def _fatal(self, status: int, code: str, what: str, said: str) -> MaploopError | None:
        name = self._parameters.key
        whose = f"the key in {name}" if name else "a request without a key"
        if status == 401:
            remedy = f"set {name} to a valid one" if name else "name the variable that holds the key with --key"
            return AccessError(f"{self.host} does not accept {whose}: {remedy}, and resume the run.")
        if status == 402 or code in _OUT_OF_MONEY:
            return ConflictError(f"The account of {whose} at {self.host} has no credit left: top it up, and resume.")
        if status == 403:
            return AccessError(f"{self.host} does not let {whose} use {what}: ask for access to it. It says: {said}")
        if status in (404, 405):
            return NotFoundError(
                f"{self.host} has no {what} under {self._parameters.base_url}: correct the identifier or the "
                f"base URL. It says: {said}"
            )
        return None


def _words(error: openai.APIStatusError) -> str:
    """What the server said itself; the SDK puts words of its own before that."""
    message = error.body.get("message") if isinstance(error.body, Mapping) else None
    return message if isinstance(message, str) else _OF_THE_SDK.sub("", error.message)


def _json(content: bytes) -> object:
    """The body of a reply; the text itself where it is no JSON."""
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        return content[:1000].decode(errors="replace")


def open_server(parameters: ChatParameters, *, http_client: httpx2.Client | None = None) -> ChatServer:
    """The server of a model, with its key. Raises InputError when the key may not be sent there or is not set."""
    key = key_for(parameters.key, parameters.base_url) if parameters.key else None
    return ChatServer(parameters, key=key, http_client=http_client)
