"""What the server refuses, with the HTTP status that lakeFS clients expect for it.

The clients choose their exception by status alone, so a status is part of the contract: a dirty
branch is 400, a conflict is 409, a missing parent number is 409 for revert but 400 for cherry-pick.
"""

from starlette.responses import JSONResponse


class Refused(Exception):
    """A request that is answered with `status` and `{"message": ...}`."""

    status = 500

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    @property
    def headers(self) -> dict[str, str]:
        return {}


class BadRequest(Refused):
    status = 400


class NotAuthenticated(Refused):
    status = 401


class Forbidden(Refused):
    status = 403


class NotFound(Refused):
    status = 404


class Conflict(Refused):
    status = 409


class MergeConflict(Conflict):
    """The same object changed on both sides; lakeFS answers it with an empty reference."""


class PreconditionFailed(Refused):
    status = 412


class TooLarge(Refused):
    status = 413


class RangeNotSatisfiable(Refused):
    """A byte range beyond the object; `size` tells the client how long the object is."""

    status = 416

    def __init__(self, size: int) -> None:
        super().__init__(f"range is not within the object's {size} bytes")
        self.size = size

    @property
    def headers(self) -> dict[str, str]:
        return {"Content-Range": f"bytes */{self.size}"}  # where clients learn the size


class Busy(Refused):
    """A branch that is being worked on; clients try again."""

    status = 429


class Gone(Refused):
    status = 410


class NotEmbedded(Refused):
    status = 501

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} not available in the embedded server; use a lakeFS server")


def answer(error: Refused) -> JSONResponse:
    return JSONResponse({"message": error.message}, error.status, error.headers)
