"""The public errors of this package, grouped by where the fault is.

LayerCodeError
├── DeveloperError            fix the project: its settings, its agent file or its use of this package
│   ├── ConfigurationError    a setting, an option or a file is missing or malformed
│   ├── AgentNotFoundError    no agent has that name; the message lists the agents
│   ├── AgentImportError      an agent file failed to import; carries its own traceback
│   ├── MissingExtraError     an optional library is not installed; the message names its extra
│   ├── HookError             a hook was registered wrongly, or returned the wrong type
│   │   └── HookTimeoutError  a hook exceeded its timeout
│   ├── StateError            a conversation's state does not fit the state model, or cannot be saved
│   └── ForkError             the turn to fork is not in the journal, or the change is not possible
│       └── NotRecordedError  the conversation itself is not in the journal
├── PlatformError             a request from the platform or another client is refused
│   ├── SignatureError        401: the signature is missing, malformed, stale or wrong
│   ├── EventError            400: the body is not a LayerCode event
│   ├── RefusedError          401, 403 or 429: the client may not start a session
│   └── PayloadTooLargeError  413: the body exceeds the limit
├── DeliveryError             a backend did not answer an event, or its answer broke off
├── ModelStalledError         a model paused for too long within its answer
├── JudgeError                the judge model did not answer
├── CallerError               the model or function of a simulated caller gave no answer
├── PlatformAPIError          the platform's REST API refused a request or could not be reached
└── StoreError                the journal cannot be read or written at present
"""

from __future__ import annotations


class LayerCodeError(Exception):
    """Base class of the errors of this package."""


class DeveloperError(LayerCodeError):
    """Something in the project must be fixed."""


class ConfigurationError(DeveloperError):
    """A setting, an option or a file is missing or malformed. The command line exits with 2."""


class AgentNotFoundError(DeveloperError):
    """No agent has that name. The command line exits with 3."""


class AgentImportError(DeveloperError):
    """An agent file failed to import. `traceback` is the file's traceback, or the message if there is no traceback.

    `advice` says what to write instead of outdated code; "" if none is known. The message ends with it.
    """

    def __init__(self, message: str, *, traceback: str = "", advice: str = "") -> None:
        super().__init__(f"{message}. {advice}" if advice else message)
        self.traceback = traceback or str(self)
        self.advice = advice


class MissingExtraError(DeveloperError):
    """An optional library is not installed. The message names the extra to install."""


class HookError(DeveloperError):
    """A hook was registered wrongly, or returned the wrong type."""


class HookTimeoutError(HookError):
    """A hook took longer than LAYERCODE_HOOK_TIMEOUT and was cancelled."""


class StateError(DeveloperError):
    """The saved state of a conversation does not fit the agent's state model, or the state cannot be saved.

    `fields` are the names of the fields that cannot be saved.
    """

    fields: tuple[str, ...] = ()


class ForkError(DeveloperError):
    """A recorded call cannot be forked: the turn is not in the journal, or the change is not possible."""


class NotRecordedError(ForkError):
    """The conversation is not in the journal. The command line exits with 1."""


class PlatformError(LayerCodeError):
    """A request from the platform or another client is refused; `status` is the HTTP status of the response."""

    status = 400


class SignatureError(PlatformError):
    """The `layercode-signature` header is missing, malformed, stale or wrong."""

    status = 401


class EventError(PlatformError):
    """The body of a request is not a LayerCode event."""


class RefusedError(PlatformError):
    """The client may not start a session. Raise this in an `on_authorize` hook; the client gets the reason."""

    status = 403

    def __init__(self, reason: str, *, status: int = 403) -> None:
        super().__init__(reason)
        self.status = status


class PayloadTooLargeError(PlatformError):
    """The body of a request exceeds the size limit."""

    status = 413


class DeliveryError(LayerCodeError):
    """A backend did not answer an event that was sent to it, or its answer broke off or was malformed.

    `reason` is `unreachable`, `timeout`, `broken` or `malformed`.
    """

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class ModelStalledError(LayerCodeError):
    """A model paused for too long within its answer."""

    layercode_category = "timeout"


class JudgeError(LayerCodeError):
    """The judge model did not answer, or its answer was not a verdict."""


class CallerError(LayerCodeError):
    """A simulated caller gave no answer: its model failed or took too long, or its function returned no line."""


class PlatformAPIError(LayerCodeError):
    """The platform's REST API refused a request, or could not be reached.

    `status` is the HTTP status, None without a response; `reason` is the text of the response, without the API key;
    `unreachable` is True if no connection was made.
    """

    def __init__(self, message: str, *, status: int | None = None, reason: str = "", unreachable: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.unreachable = unreachable


class StoreError(LayerCodeError):
    """The journal cannot be read or written at present; the message names the component."""
