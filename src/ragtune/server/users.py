"""Users, keys, sessions and folder rules: what `ragtune users` and `ragtune access` change."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import sqlite3
import time
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, get_args

from ragtune.errors import ConfigError
from ragtune.ingest.sources import typed
from ragtune.server.database import Database
from ragtune.visibility import Visibility, folder_key, rules_of

if TYPE_CHECKING:
    from argon2 import PasswordHasher

Role = Literal["reader", "editor", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
OWNER_NAME = "owner"
SHORTEST_PASSWORD = 12  # characters; OWASP's minimum without a second factor is lower than this
LONGEST_PASSWORD = 200
SESSION_SECONDS = 30 * 86_400
IDLE_SECONDS = 7 * 86_400
_NAME = re.compile(r"[\w][\w.@+-]{0,99}")
_KEY = re.compile(r"rt_([a-z0-9]{12})_([A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True)
class Quota:
    """How much one key may ask for; None: as the server's default says."""

    per_minute: int | None = None
    at_once: int | None = None
    questions_a_day: int | None = None
    tokens_a_day: int | None = None  # written by a model


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. A role includes those before it; `groups` say which documents they see.

    `key` is the id of the API key that was used, empty for a session and for the owner.
    """

    name: str
    role: Role = "reader"
    groups: tuple[str, ...] = ()
    key: str = ""
    quota: Quota = Quota()

    def may(self, role: Role) -> bool:
        """Whether this principal has `role`."""
        return ROLES.index(self.role) >= ROLES.index(role)


OWNER = Principal(OWNER_NAME, "admin")  # who started the server, or runs `ragtune mcp`


@dataclass(frozen=True, slots=True)
class User:
    """A line of `ragtune users list`."""

    name: str
    role: Role
    groups: tuple[str, ...]
    disabled: bool
    password: bool  # whether one is set
    keys: int  # that work
    sessions: int
    created: float


@dataclass(frozen=True, slots=True)
class Key:
    """A line of `ragtune users keys`; the key itself is shown once, when it is made."""

    id: str
    user: str
    role: Role
    label: str
    created: float
    ends: float | None
    disabled: bool
    quota: Quota


class Users:
    """Who there is and what they may; every call reads the file."""

    def __init__(self, database: Database) -> None:
        self.database = database

    # ------------------------------------------------------------ users

    def add(
        self,
        name: str,
        role: Role = "reader",
        groups: Iterable[str] = (),
        subject: str | None = None,
    ) -> None:
        """Adds a user. Raises ConfigError."""
        name = plain_name(name)
        if name == OWNER_NAME:
            raise ConfigError(f"{OWNER_NAME!r} is whoever starts the server: take another name")
        try:
            self.database.change(
                "INSERT INTO users (name, role, groups, subject, created) VALUES (?, ?, ?, ?, ?)",
                (name, _role(role), _packed(groups), subject, time.time()),
            )
        except sqlite3.IntegrityError:
            raise ConfigError(f"there is a user {name!r} already") from None

    def change(
        self, name: str, role: Role | None = None, groups: Iterable[str] | None = None,
        disabled: bool | None = None,
    ) -> None:  # fmt: skip
        """Changes what is given. Raises ConfigError for a user that is not there."""
        name = self._known(name)
        with self.database.transaction() as db:
            if role is not None:
                db.execute("UPDATE users SET role = ? WHERE name = ?", (_role(role), name))
            if groups is not None:
                db.execute("UPDATE users SET groups = ? WHERE name = ?", (_packed(groups), name))
            if disabled is not None:
                db.execute("UPDATE users SET disabled = ? WHERE name = ?", (disabled, name))
            if disabled:
                db.execute("DELETE FROM sessions WHERE user = ?", (name,))

    def remove(self, name: str) -> None:
        """Removes a user with keys and sessions; the audit log keeps the name."""
        name = self._known(name)
        with self.database.transaction() as db:
            db.execute("DELETE FROM sessions WHERE user = ?", (name,))
            db.execute("DELETE FROM users WHERE name = ?", (name,))

    def all(self) -> list[User]:
        """All users by name."""
        now = time.time()
        found = self.database.rows(
            "SELECT name, role, groups, disabled, password IS NOT NULL,"
            " (SELECT count(*) FROM keys k WHERE k.user = name AND NOT k.disabled"
            "   AND coalesce(k.ends, ?) >= ?),"
            " (SELECT count(*) FROM sessions s WHERE s.user = name AND s.created > ?"
            "   AND s.used > ?), created FROM users ORDER BY name",
            (now, now, now - SESSION_SECONDS, now - IDLE_SECONDS),
        )
        return [
            User(n, role, _unpacked(groups), bool(off), bool(pw), keys, sessions, created)
            for n, role, groups, off, pw, keys, sessions, created in found
        ]

    def principal(self, name: str) -> Principal | None:
        """The user of this name as who asks; None where there is none or they are disabled."""
        if name == OWNER_NAME:
            return OWNER
        row = self.database.row(
            "SELECT role, groups FROM users WHERE name = ? AND NOT disabled", (name,)
        )
        return None if row is None else Principal(name, row[0], _unpacked(row[1]))

    def of_subject(self, subject: str) -> str | None:
        """The name of the user whom a login provider knows as `subject`."""
        row = self.database.row("SELECT name FROM users WHERE subject = ?", (subject,))
        return None if row is None else str(row[0])

    def _known(self, name: str) -> str:
        name = plain_name(name)
        if self.database.row("SELECT 1 FROM users WHERE name = ?", (name,)) is None:
            raise ConfigError(f"no user {name!r}: see `ragtune users list`")
        return name

    # ------------------------------------------------------------ passwords

    def set_password(self, name: str, password: str) -> None:
        """Sets a password, and ends the user's sessions. Raises ConfigError."""
        name = self._known(name)
        if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
            raise ConfigError(f"a password has at least {SHORTEST_PASSWORD} characters")
        hashed = _hasher().hash(_password(password))
        with self.database.transaction() as db:
            db.execute("UPDATE users SET password = ? WHERE name = ?", (hashed, name))
            db.execute("DELETE FROM sessions WHERE user = ?", (name,))

    def check_password(self, name: str, password: str) -> Principal | None:
        """Who this is; None for a wrong name or password and for a disabled user.

        Each of them takes the same time: a hash is computed in any case.
        """
        from argon2.exceptions import InvalidHashError, VerificationError

        row = self.database.row(
            "SELECT password, disabled FROM users WHERE name = ?",
            (unicodedata.normalize("NFC", name),),
        )
        stored = row[0] if row is not None and row[0] else _nobody()
        try:
            _hasher().verify(stored, _password(password[: LONGEST_PASSWORD + 1]))
        except (VerificationError, InvalidHashError):
            return None
        if row is None or not row[0] or row[1]:
            return None
        return self.principal(unicodedata.normalize("NFC", name))

    # ------------------------------------------------------------ keys

    def add_key(
        self, name: str, label: str = "", role: Role | None = None, days: float | None = None,
        quota: Quota | None = None,
    ) -> str:  # fmt: skip
        """A new key, to be shown once. `role` may only lower the user's. Raises ConfigError."""
        name = self._known(name)
        id = "".join(secrets.choice("abcdefghijkmnpqrstuvwxyz23456789") for _ in range(12))
        secret, quota = secrets.token_urlsafe(32), quota or Quota()
        now = time.time()
        self.database.change(
            "INSERT INTO keys (id, user, hash, role, label, created, ends, per_minute, at_once,"
            " questions_a_day, tokens_a_day) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                id, name, _digest("key", secret), _role(role or "admin"), label[:100], now,
                None if days is None else now + 86_400 * days, quota.per_minute, quota.at_once,
                quota.questions_a_day, quota.tokens_a_day,
            ),
        )  # fmt: skip
        return f"rt_{id}_{secret}"

    def keys(self, name: str | None = None) -> list[Key]:
        """All keys, or a user's, oldest first."""
        found = self.database.rows(
            "SELECT id, user, role, label, created, ends, disabled, per_minute, at_once,"
            " questions_a_day, tokens_a_day FROM keys WHERE ?1 IS NULL OR user = ?1"
            " ORDER BY created, id",
            (name,),
        )
        return [
            Key(id, user, role, label, created, ends, bool(disabled), Quota(*quota))
            for id, user, role, label, created, ends, disabled, *quota in found
        ]

    def disable_key(self, id: str) -> None:
        """A key stops with the next request. Raises ConfigError."""
        if not self.database.change("UPDATE keys SET disabled = 1 WHERE id = ?", (id,)):
            raise ConfigError(f"no key {id!r}: see `ragtune users keys`")

    def of_key(self, key: str) -> Principal | None:
        """Who sends this key; None where it is wrong, ended or disabled, or its user is."""
        match = _KEY.fullmatch(key)
        row = match and self.database.row(
            "SELECT k.hash, k.role, k.ends, u.name, u.role, u.groups, k.per_minute, k.at_once,"
            " k.questions_a_day, k.tokens_a_day FROM keys k JOIN users u ON u.name = k.user"
            " WHERE k.id = ? AND NOT k.disabled AND NOT u.disabled",
            (match[1],),
        )
        if not match or not row or not secrets.compare_digest(row[0], _digest("key", match[2])):
            return None
        if row[2] is not None and row[2] < time.time():
            return None
        role = min(row[1], row[4], key=ROLES.index)
        return Principal(row[3], role, _unpacked(row[5]), match[1], Quota(*row[6:]))

    # ------------------------------------------------------------ sessions

    def begin_session(self, name: str) -> str:
        """The id of a new session, for the cookie."""
        id = secrets.token_urlsafe(32)
        now = time.time()
        with self.database.transaction() as db:
            db.execute("DELETE FROM sessions WHERE created <= ? OR used <= ?",
                       (now - SESSION_SECONDS, now - IDLE_SECONDS))  # fmt: skip
            db.execute("INSERT INTO sessions (hash, user, created, used) VALUES (?, ?, ?, ?)",
                       (_digest("session", id), name, now, now))  # fmt: skip
        return id

    def of_session(self, id: str) -> Principal | None:
        """Whose session this is; None where it ended or its user is disabled."""
        if not id:
            return None
        digest, now = _digest("session", id), time.time()
        row = self.database.row(
            "SELECT user, used FROM sessions WHERE hash = ? AND created > ? AND used > ?",
            (digest, now - SESSION_SECONDS, now - IDLE_SECONDS),
        )
        if row is None:
            return None
        if now - row[1] > 3600:
            self.database.change("UPDATE sessions SET used = ? WHERE hash = ?", (now, digest))
        return self.principal(row[0])

    def end_session(self, id: str) -> None:
        """Ends one session."""
        self.database.change("DELETE FROM sessions WHERE hash = ?", (_digest("session", id),))

    def end_sessions(self, name: str) -> int:
        """Signs a user (also the owner) out everywhere; how many sessions there were."""
        return self.database.change("DELETE FROM sessions WHERE user = ?", (plain_name(name),))

    # ------------------------------------------------------------ folder rules

    def rules(self) -> list[tuple[str, tuple[str, ...]]]:
        """Folder and groups of each rule, sorted by folder."""
        found = self.database.rows("SELECT folder, groups FROM rules ORDER BY folder")
        return [(folder, _unpacked(groups)) for folder, groups in found]

    def set_rule(self, folder: str, groups: Iterable[str]) -> None:
        """Only these groups see what is in `folder` (a uri, or the start of one)."""
        self.database.change(
            "INSERT INTO rules (folder, groups) VALUES (?, ?) ON CONFLICT (folder)"
            " DO UPDATE SET groups = excluded.groups",
            (plain_folder(folder), _packed(groups)),
        )

    def remove_rule(self, folder: str) -> None:
        """What is in `folder` has the rule of the folder around it again. Raises ConfigError."""
        if not self.database.change("DELETE FROM rules WHERE folder = ?", (plain_folder(folder),)):
            raise ConfigError(f"no rule for {folder!r}: see `ragtune access`")

    def everyone(self) -> bool:
        """Whether documents without a rule are for everyone who is signed in."""
        row = self.database.row("SELECT value FROM settings WHERE name = 'without_rule'")
        return row is None or row[0] == "everyone"

    def set_everyone(self, everyone: bool) -> None:
        """Decides about documents without a rule."""
        self.database.change(
            "INSERT INTO settings (name, value) VALUES ('without_rule', ?) ON CONFLICT (name)"
            " DO UPDATE SET value = excluded.value",
            ("everyone" if everyone else "nobody",),
        )

    def visibility(self, principal: Principal) -> Visibility | None:
        """What they may see; None for all there is: administrators, and where nothing is hidden."""
        if principal.may("admin"):
            return None
        rules, everyone = rules_of(self.rules()), self.everyone()
        if not rules and everyone:
            return None
        return Visibility(frozenset(principal.groups), rules, everyone)


# ---------------------------------------------------------------- forms


def plain_name(name: str) -> str:
    """A user's or group's name. Raises ConfigError."""
    name = unicodedata.normalize("NFC", name.strip())
    if not _NAME.fullmatch(name):
        raise ConfigError(f"{name!r}: a name has letters, digits and . @ + - _, at most 100")
    return name


def plain_folder(folder: str) -> str:
    """A folder as uris begin. Raises ConfigError for one that could match nothing."""
    folder = folder_key(unicodedata.normalize("NFC", typed(folder).strip()).removeprefix("./"))
    if not folder or {".", ".."} & set(folder.split("/")) or "*" in folder:
        raise ConfigError(f"{folder!r}: name a folder as `ragtune docs` has it, without . .. or *")
    return folder


def _role(role: str) -> Role:
    if role not in ROLES:
        raise ConfigError(f"a role is one of {', '.join(ROLES)}")
    return role


def _packed(groups: Iterable[str]) -> str:
    return json.dumps(sorted({plain_name(g) for g in groups}), ensure_ascii=False)


def _unpacked(groups: str) -> tuple[str, ...]:
    found: Sequence[Any] = json.loads(groups)
    return tuple(map(str, found))


def _digest(purpose: str, secret: str) -> bytes:
    return hashlib.sha256(f"ragtune {purpose}\0{secret}".encode("utf-8", "replace")).digest()


def _password(password: str) -> str:
    return unicodedata.normalize("NFC", password)


@cache
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher
    from argon2.profiles import RFC_9106_LOW_MEMORY

    return PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY)


@cache
def _nobody() -> str:
    """A hash that no password has, for names that are not there."""
    return _hasher().hash(secrets.token_urlsafe(32))
