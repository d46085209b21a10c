"""Why the object store does not do what was asked, in words for the operator."""

from urllib3.exceptions import SSLError

_WORDS = {
    "SignatureDoesNotMatch": "it refuses s3.secret_key",
    "InvalidAccessKeyId": "it does not know s3.access_key",
    "AccessDenied": "these keys may not use s3.bucket",
    "AllAccessDisabled": "these keys may not use s3.bucket",
    "NoSuchBucket": "s3.bucket is not there",
    "RequestTimeTooSkewed": "its clock and ours differ too much: set both by NTP",
    "AuthorizationHeaderMalformed": "it is of another s3.region",
    "MaxRetryError": "no connection: is it running, is s3.endpoint right, should s3.secure be on or off?",
    "TimeoutError": "it did not answer in time",
    "ReadTimeoutError": "it did not answer in time",
    "InvalidResponseError": "what answers at s3.endpoint is no S3 server",
}
_TLS = "its TLS is not as expected: are s3.secure, s3.endpoint and s3.ca_file right?"


def why(error: Exception, code: str = "") -> str:
    """`code` is the server's own word. Its name, or the error's, stays in it, for looking it up."""
    name = code or type(error).__name__
    words = _TLS if isinstance(getattr(error, "reason", None), SSLError) else _WORDS.get(name)
    return f"{words} ({name})" if words else name
