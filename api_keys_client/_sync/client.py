# Derived from _async/client.py by scripts/unasync.py: edit that file, then run the script.
"""The client: the operations as a user calls them."""

from __future__ import annotations

import builtins
import os
import ssl
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from types import TracebackType
from typing import NoReturn, Self

from api_keys_client._core.generated import ApiKeyResponse, APIKeysApi, Role
from api_keys_client._core.lifetimes import CLOCK_GRACE, check_grace, checked_life, expired_keys, length_of_life
from api_keys_client._core.markers import own_description, refuse_marker, strip_marker
from api_keys_client._core.messages import http_date
from api_keys_client._core.operations import CreatedKey, Operations
from api_keys_client._core.options import (
    DEFAULT_DEADLINE,
    DEFAULT_MAX_ATTEMPTS,
    DEFAULT_TIMEOUT,
    ClientOptions,
    Timeout,
    Token,
    resolve_settings,
)
from api_keys_client._core.policy import Deactivation
from api_keys_client._core.rotations import (
    Leftovers,
    NewKeyCallback,
    checked_leftovers,
    chosen_to_end,
    description_of,
    roles_of,
)
from api_keys_client._core.validation import (
    UNSET,
    Description,
    Roles,
    canonical_id,
    checked_filter,
    checked_roles,
    invalid_argument,
)
from api_keys_client._sync.creations import create_or_undo, deactivate_created
from api_keys_client._sync.executor import Executor
from api_keys_client._sync.rotation import Rotation, find, replace
from api_keys_client._transport.concurrency import check_user_function, fan_out, refuse_async_token
from api_keys_client._transport.sync import Transport
from api_keys_client._transport.system import environment, new_creation, utc_now


class ApiKeysClient:
    """A client of the API-keys API of one GenAI Engine.

    Use it as a context manager, or call `close()` when done. `ApiKeysClient` is thread-safe, and safe across `fork`;
    `AsyncApiKeysClient`, with the same methods as coroutines, belongs to the asyncio event loop of its first call.

    Args:
        base_url: where the engine is, with the path before `/auth` if there is one;
            None: API_KEYS_BASE_URL, or else `http://localhost`.
        token: the engine's admin key: a str, a SecretStr, or a function that gives one, asked on each
            call, and once more after a 401 (see `api_keys_client.tokens`); it may be async in the async client;
            None: API_KEYS_TOKEN, or else BEARER_TOKEN.
        timeout: seconds for one attempt, one number or a pair: to connect, for the whole answer.
        deadline: seconds for a call with all its attempts and waits.
        max_attempts: how often a call is tried, if trying again can do no harm.
        headers: sent along with each request.
        ssl_context: what TLS trusts and presents; None: the system's certificates, or those of SSL_CERT_FILE.
        ca_file: or a PEM file with the authorities that it trusts instead.
        proxy: URL of an HTTP proxy, with user info if it asks for one; None: the environment's
            (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY). Loopback is always reached directly.
        allow_http: send the token over plain http to another host.

    Raises:
        ConfigurationError: a setting is missing or wrong.
    """

    def __init__(
        self,
        base_url: str | None = None,
        *,
        token: Token | None = None,
        timeout: Timeout = DEFAULT_TIMEOUT,
        deadline: float = DEFAULT_DEADLINE,
        max_attempts: int = DEFAULT_MAX_ATTEMPTS,
        headers: Mapping[str, str] | None = None,
        ssl_context: ssl.SSLContext | None = None,
        ca_file: str | os.PathLike[str] | None = None,
        proxy: str | None = None,
        allow_http: bool = False,
    ) -> None:
        options = ClientOptions(
            base_url, token, timeout, deadline, max_attempts, headers, ssl_context, ca_file, proxy, allow_http
        )
        # Gone from this frame before anything can raise: a traceback may show locals.
        del base_url, token, headers, proxy
        refuse_async_token(options.token)
        settings = resolve_settings(options, environment())
        self._executor = Executor(Transport(settings), settings, Operations(settings))
        self._owns_transport = True

    def with_options(
        self,
        *,
        token: Token | None = None,
        timeout: Timeout | None = None,
        deadline: float | None = None,
        max_attempts: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Self:
        """Gives a view of this client with other options, on the same connections.

        What is None stays as it is; `headers` are added to those there are. Closing a view leaves
        the connections to the client that it was made from.

        Raises:
            ConfigurationError: an option is wrong.
        """
        options = ClientOptions(None, token, timeout, deadline, max_attempts, headers)
        del token, headers
        view = object.__new__(type(self))
        # What a subclass keeps goes along.
        vars(view).update(vars(self))
        mine = self._executor
        refuse_async_token(options.token)
        settings = resolve_settings(options, base=mine.settings)
        view._executor = Executor(
            mine.transport, settings, Operations(settings) if options.headers else mine.operations
        )
        view._owns_transport = False
        return view

    def close(self) -> None:
        """Closes the connections; calls in flight end with an ApiConnectionError. Closing twice is fine."""
        if self._owns_transport:
            self._executor.transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        # A traceback of a failed constructor may show it.
        made = getattr(self, "_executor", None)
        return f"<{type(self).__name__} {made.settings.base_url if made else '(not made)'}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a client is not copied or pickled: it holds the token and open connections; make another")

    # The lines that begin with "sync:" are in the derived client alone: the generated client is a sync one.
    @property
    def generated(self) -> APIKeysApi:
        """The generated `APIKeysApi` on this client's connections, for what the wrapper doesn't cover.

        What holds: our timeouts, to connect and for the whole answer, even one that comes in drips
        (`_request_timeout` takes their place); redirects are not followed; our headers, and a token that is
        asked for on each call.

        What doesn't: there are no retries, no deadline over a call, no outcomes; compressed answers are
        unpacked without a bound; and closing the client doesn't end its calls in flight. Nor do the rules
        against leaks hold: the text of an `ApiException` has the answer's headers and body, and it keeps both;
        the result of a method that ends in `_with_http_info` has the body in `raw_data`; and urllib3's
        exceptions come as they are, with the token in the locals of their frames.
        """
        return self._executor.transport.generated(self._executor.settings)

    def create(
        self,
        description: Description = UNSET,
        roles: Roles = UNSET,
        *,
        expires_in: timedelta | None = None,
        expires_at: datetime | None = None,
    ) -> CreatedKey:
        """Creates a key. Its secret, `key`, is in this answer only.

        The server has no expiry: a key that is to end bears a marker, `(made <date>, ends <date> #<nonce>)`, and works
        until a `sweep` ends it. One that may have been made without an answer is looked for and ended.

        Args:
            description: what the key is for (str); None is sent as null.
            roles: roles as `Role` or str, from any iterable; left out, the server's default (VALIDATION-USER);
                None or empty: none.
            expires_in: how long it is to live (timedelta), at least a second.
            expires_at: or until when (aware datetime).

        Raises:
            OutcomeUnknownError: the key may have been made, and its secret is lost. It is never tried again.
            ClockError: this machine's clock and the server's are five minutes apart, so the end of the key would be
                wrong: it was ended at once.
            KeyLimitReachedError: the server has as many active keys as it allows.
            InvalidRequestError: a description or role that cannot be, or a description that ends in a marker of this
                client's.
            ApiKeysError: anything else, see `api_keys_client.errors`.

        Example:
            >>> key = client.create("nightly evaluation", roles=[Role.VALIDATION_USER])
            >>> secret = key.key.get_secret_value()
        """
        if expires_in is not None or expires_at is not None:
            own = None if description is UNSET else own_description(description)
            creation = new_creation(expires_in=expires_in, expires_at=expires_at)
            return create_or_undo(self._executor, creation, own, roles)
        refuse_marker(description)
        return (self._executor.execute(self._executor.operations.create(description, roles))).value

    def list(self, description: str | None = None, role: Role | str | None = None) -> builtins.list[ApiKeyResponse]:
        """Gives the active keys, in no particular order, without their secrets.

        Args:
            description: only keys with this description (str), the client's own markers aside.
            role: only keys with this role.

        Raises:
            InvalidRequestError: the role is a known one but for its spelling.
            ApiKeysError: see `api_keys_client.errors`.

        Example:
            >>> for record in client.list(role=Role.VALIDATION_USER):
            ...     print(record.description)
            nightly evaluation
        """
        wanted = checked_filter(role)
        records = (self._executor.execute(self._executor.operations.list())).value
        if description is not None:
            records = [record for record in records if strip_marker(record.description) == description]
        if role is not None:
            records = [record for record in records if wanted in (record.roles or ())]
        return records

    def get(self, key_id: str | uuid.UUID) -> ApiKeyResponse:
        """Gives the record of a key, active or not, without its secret.

        Its `created_at` is the server's local time without an offset, and the same for all keys that one
        server process made: it tells neither age nor order.

        Raises:
            KeyNotFoundError: the server knows no such key.
            InvalidRequestError: the id is no UUID; nothing was sent.
            ApiKeysError: anything else, see `api_keys_client.errors`.

        Example:
            >>> record = client.get(key.id)
            >>> record.is_active
            True
        """
        return (self._executor.execute(self._executor.operations.get(key_id))).value

    def deactivate(self, key_id: str | uuid.UUID) -> ApiKeyResponse:
        """Deactivates a key for good and gives its record, which says that it is inactive.

        A server that answers without the record (204) is asked for it. The key may go on working elsewhere for
        some seconds (a cache of the server's).

        Raises:
            KeyNotFoundError: the server knows no such key.
            ApiKeysError: anything else; its `outcome` says whether the key was deactivated.

        Example:
            >>> ended = client.deactivate(key.id)
            >>> ended.is_active
            False
        """
        return self._executor.deactivate(key_id)

    def deactivate_many(
        self,
        key_ids: Iterable[str | uuid.UUID],
        done: Callable[[Deactivation], object] | None = None,
        *,
        bound: int = 8,
    ) -> builtins.list[Deactivation]:
        """Deactivates many keys, at most `bound` at once; nothing stops at the first failure.

        Args:
            key_ids: the ids; all are checked before the first is sent.
            done: told of each outcome as it comes, so that an interrupted caller knows.
            bound: how many calls are under way at once.

        Returns:
            One `Deactivation` per id, in order, with its record or its error.

        Raises:
            InvalidRequestError: an id is no UUID; nothing was sent.
        """
        if isinstance(key_ids, (str, bytes)) or not isinstance(key_ids, Iterable):
            raise invalid_argument(f"Many ids are a list of ids: this is {type(key_ids).__name__}.")
        if isinstance(bound, bool) or not isinstance(bound, int) or bound < 1:
            raise invalid_argument("bound= is a whole number from 1 on.")
        canonical = [canonical_id(key_id) for key_id in key_ids]
        return fan_out(self._executor.deactivation, canonical, bound=bound, done=done)

    def sweep(
        self,
        *,
        done: Callable[[Deactivation], object] | None = None,
        dry_run: bool = False,
        grace: timedelta = CLOCK_GRACE,
    ) -> builtins.list[Deactivation]:
        """Deactivates the active keys whose end has come, as their descriptions say it, and no others.

        What time it is, the server's own answer says. Many machines may sweep at once; cut off, it goes on when it is
        called again.

        Args:
            done: told of each outcome as it comes, as by `deactivate_many`.
            dry_run: deactivate nothing; the records are those of the keys that would be, still active.
            grace: how far the server's clock may be from this machine's (timedelta).

        Returns:
            One `Deactivation` for each key whose end has come.

        Raises:
            ClockError: the clocks are further apart, or the server did not say what time it is; no key was ended.
            ApiKeysError: the keys could not be listed.

        Example:
            `for ended in client.sweep(): print(ended.key_id, ended.error or "ended")`
        """
        check_grace(grace)
        listed = self._executor.execute(self._executor.operations.list())
        expired = expired_keys(listed.value, http_date(listed.date), utc_now(), grace)
        if dry_run:
            return [Deactivation(record.id, record) for record in expired]
        ids = [record.id for record in expired]
        # There may be many, and each is read again.
        del listed, expired
        return fan_out(self._executor.deactivation, ids, bound=8, done=done)

    @contextmanager
    def temporary_key(
        self, description: str | None = None, roles: Roles = UNSET, *, expires_in: timedelta | None = None
    ) -> Iterator[CreatedKey]:
        """Gives a key for the time of a `with` block: made on the way in, deactivated on the way out whatever happened.

        Its description bears a marker, `(temporary, made <date> #<nonce>)`, by which a creation that was cut off is
        found and undone. Only the end of the process itself leaves the key active, or of the event loop in the async
        client; with `expires_in` (timedelta) a `sweep` ends it then. A process that is forked in the block leaves the
        key to the one that made it.

        Raises:
            InvalidRequestError: a description or role that cannot be.
            ApiKeysError: the key could not be made, or not be deactivated. If that was interrupted, the interruption
                is raised, with a note that says so.

        Example:
            >>> with client.temporary_key("migration", roles=[Role.TASK_ADMIN]) as temporary:
            ...     secret = temporary.key.get_secret_value()
        """
        executor = self._executor
        creation = new_creation(temporary=True, expires_in=expires_in)
        created = create_or_undo(executor, creation, own_description(description), roles)
        try:
            yield created
        finally:
            deactivate_created(executor, creation, created.id)

    def rotate(
        self,
        key_id: str | uuid.UUID,
        *,
        store: NewKeyCallback,
        verify: NewKeyCallback | None = None,
        keep_old: bool = False,
        leftovers: Leftovers = "refuse",
        roles: Iterable[Role | str] | None = None,
        description: str | None = None,
        expires_in: timedelta | None = None,
    ) -> Rotation:
        """Puts a new key in place of an old one: creates it, has it stored, and then deactivates the old one.

        Cut off at any point, the key that is stored works, and every other active key is named by the error, or by
        the next rotation: the new key's description bears a marker, `(replaces <old id>, made <date> #<nonce>)`.

        Args:
            key_id: the key to replace; it must be active.
            store: writes the new key where it is used; gets the created key. Raising `NotStored` says that nothing
                was written; any other exception leaves both keys active. May be async in the async client.
            verify: tries the new key before it is stored; None and True pass, raising or returning anything else
                undoes it.
            keep_old: leave the old key to `finish()` of the result.
            leftovers: what to do about keys that earlier rotations of this one left active: "refuse" stops,
                "deactivate" ends them together with the old key, "keep" leaves them; ids end just those of them.
                A key that only the old one's description names counts with "deactivate" only if its own description
                and roles are the same; the result's `left_active` names what was left.
            roles: the new key's roles; None keeps the old one's.
            description: the new key's description; None keeps the old one's.
            expires_in: how long the new key is to live (timedelta); None: as long as the old one's marker says that
                it was to, or without an end.

        Raises:
            RotationError: it stopped, or was undone; its text, `stage` and ids say what is active now.
            OutcomeUnknownError: the new key may have been made; it was looked for and, if seen, deactivated.
            KeyLimitReachedError: nothing was changed: for a moment there are two keys where there was one.
            ApiKeysError: anything else that failed before there was a new key to store.

        Example:
            >>> rotation = client.rotate(key.id, store=stores.file("engine-key"))
            >>> rotation.left_active
            []
        """
        chosen = checked_leftovers(leftovers)
        for function in (store, *([] if verify is None else [verify])):
            check_user_function(function)
        given_roles, given_description = checked_roles(roles), own_description(description)
        life = checked_life(expires_in)
        executor = self._executor
        old, found = find(executor, canonical_id(key_id))
        ending = chosen_to_end(old, found, chosen)
        new = replace(
            executor,
            old,
            new_creation(replaces=old.id.lower(), expires_in=life or length_of_life(old)),
            description=description_of(old) if given_description is None else given_description,
            roles=roles_of(old) if given_roles is None else given_roles,
            verify=verify,
            store=store,
        )
        left_active = [record.id for record in found.all() if record not in ending]
        rotation = Rotation(executor, old, new, [old.id, *(record.id for record in ending)], left_active)
        if not keep_old:
            rotation.finish()
        return rotation
