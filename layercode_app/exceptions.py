"""Every error this package raises, split by who must act.

LayerCodeError
├── DeveloperError            mend the project: its settings, its agent file or its call of us
│   ├── ConfigurationError    a setting is missing or malformed
│   ├── AgentNotFoundError    no agent of that name; says which there are
│   ├── AgentImportError      an agent file failed to import; carries its own traceback
│   ├── HookError             a hook was registered or answered wrongly
│   │   └── HookTimeoutError  a hook took longer than it may
│   ├── StateError            a conversation's saved state does not fit the state model
│   └── ForkError             the turn to fork is not in the journal, or cannot be changed in that way
│       └── NotRecordedError  the conversation itself is not in the journal
├── PlatformError             what the platform (or whoever called us) sent is refused
│   ├── SignatureError        401: the signature is missing, malformed, stale or wrong
│   ├── EventError            400: the body is not a LayerCode event
│   ├── RefusedError          401, 403 or 429: whoever asks for a session may not have one
│   └── PayloadTooLargeError  413: the body is over the limit
├── DeliveryError             a backend did not answer an event, or broke its answer off
├── ModelStalledError        a model paused for too long within its answer
├── JudgeError                a model that is to judge a turn did not answer
├── PlatformAPIError          the platform's REST API refused, or could not be reached
└── StoreError                the journal cannot be read or written now
"""

from __future__ import annotations


class LayerCodeError(Exception):
    """Base of every error this package raises."""


class DeveloperError(LayerCodeError):
    """Something in the project must be mended."""


class ConfigurationError(DeveloperError):
    """A setting is missing or malformed. The command line exits with 2."""


class AgentNotFoundError(DeveloperError):
    """No agent has that name. The command line exits with 3."""


class AgentImportError(DeveloperError):
    """An agent file failed to import; `traceback` is the file's own, without our frames."""

    def __init__(self, message: str, *, traceback: str = "") -> None:
        super().__init__(message)
        self.traceback = traceback


class HookError(DeveloperError):
    """A hook was registered wrongly, or answered with something that cannot be used."""


class HookTimeoutError(HookError):
    """A hook took longer than LAYERCODE_HOOK_TIMEOUT and was ended."""


class StateError(DeveloperError):
    """The saved state of a conversation does not fit the agent's state model."""


class ForkError(DeveloperError):
    """The turn to fork is not in the journal, or cannot be changed in the way asked for."""


class NotRecordedError(ForkError):
    """The conversation asked for is not in the journal. The command line exits with 1."""


class PlatformError(LayerCodeError):
    """What arrived is refused; `status` is the HTTP status to answer with."""

    status = 400


class SignatureError(PlatformError):
    """The `layercode-signature` header is missing, malformed, stale or wrong."""

    status = 401


class EventError(PlatformError):
    """The body is not a LayerCode event."""


class RefusedError(PlatformError):
    """Whoever asks for a session may not have one. Raise it in an `on_authorize` hook; the reason reaches the page."""

    status = 403

    def __init__(self, reason: str, *, status: int = 403) -> None:
        super().__init__(reason)
        self.status = status


class PayloadTooLargeError(PlatformError):
    """The body is over the limit."""

    status = 413


class DeliveryError(LayerCodeError):
    """A backend did not answer an event we sent, or its answer broke off or made no sense.

    `reason` is `unreachable`, `timeout`, `broken` or `malformed`.
    """

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class ModelStalledError(LayerCodeError):
    """A model paused for too long within its answer."""

    layercode_category = "timeout"


class JudgeError(LayerCodeError):
    """A model that is to judge a turn did not answer, or not with a verdict."""


class PlatformAPIError(LayerCodeError):
    """The platform's REST API refused a call, or could not be reached.

    `status` is its HTTP status, None where none came; `reason` what its answer said, without the API key;
    `unreachable` says that no connection was made.
    """

    def __init__(self, message: str, *, status: int | None = None, reason: str = "", unreachable: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.unreachable = unreachable


class StoreError(LayerCodeError):
    """The journal cannot be read or written now; the message names the component."""
