"""Why the document store does not do what was asked, in words for the operator. No address: it may hold a
password."""

from pymongo.errors import OperationFailure, PyMongoError, ServerSelectionTimeoutError

_WORDS = {
    "ServerSelectionTimeoutError": "no server answers: is it running, is mongo.url right?",
    "AutoReconnect": "its connection broke off",
    "ConnectionFailure": "its connection broke off",
    "NetworkTimeout": "it did not answer in time",
    "WaitQueueTimeoutError": "all connections are busy: it is slow, or mongo.pool too small",
    "NotPrimaryError": "its replica set is choosing another primary",
}
_CODES = {
    18: "it refuses the user or the password in mongo.url",
    13: "the user in mongo.url may not do this: it needs readWrite on mongo.database",
}
_TLS = (
    "no server answers in TLS as mongo.url asks for it: look at tls, tlsCAFile and the server's certificate"
)


def why(error: PyMongoError) -> str:
    """The error's name stays in it, for looking it up."""
    name = type(error).__name__
    words = _WORDS.get(name)
    if isinstance(error, OperationFailure):
        words = _CODES.get(error.code or 0, f"code {error.code}" if error.code else None)
    elif isinstance(error, ServerSelectionTimeoutError) and (
        "SSL" in str(error) or "CERTIFICATE" in str(error)
    ):
        words = _TLS
    return f"{words} ({name})" if words else name
