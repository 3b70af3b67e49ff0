"""What a server is started with: where it listens and how much it takes at once."""

from __future__ import annotations

from dataclasses import dataclass, field

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one request may bring, and how many may wait. Beyond them: 413, 422, 429 or 503."""

    json_bytes: int = MIB  # of a request's body, where it is no file
    upload_bytes: int = 200 * MIB  # of one uploaded file
    question_characters: int = 4000
    history: int = 50  # earlier questions of a conversation that are looked at
    search_threads: int = 2
    search_waiting: int = 256
    per_minute: int = 600  # requests of one key or person; 0: no limit, also below
    at_once: int = 16
    questions_a_day: int = 0
    tokens_a_day: int = 0  # that a model writes
    generations: int = 1  # slots of the model: llama.cpp writes one answer at a time
    generation_waiting: int = 128
    drain_seconds: float = 30.0  # how long a stop waits for streams to end
    keepalive_seconds: float = 10.0  # a stream that says nothing for so long sends a comment


@dataclass(frozen=True, slots=True)
class Provider:
    """An OpenID Connect provider that browsers may sign in through: see oidc.py."""

    issuer: str
    client: str  # the id that the provider knows this server by
    secret: str = field(default="", repr=False)
    groups_claim: str = ""  # the claim that lists a person's groups; empty: they are kept here


@dataclass(frozen=True, slots=True)
class Options:
    """How one server runs.

    `hosts` are the names that a request's Host header may have: a page of another site that has
    its name point to this machine (DNS rebinding) is refused. `secure` says that browsers reach it
    by HTTPS, so that cookies are sent no other way.
    """

    host: str = "127.0.0.1"
    port: int = 8733
    hosts: tuple[str, ...] = ("127.0.0.1", "localhost", "[::1]")
    secure: bool = False
    watch: bool = True
    origins: tuple[str, ...] = ()  # pages of these may call the API, with a token (CORS)
    audit_questions: bool = False
    provider: Provider | None = None
    limits: Limits = field(default_factory=Limits)
