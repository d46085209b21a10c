"""Why Kafka does not do what was asked, in words for the operator."""

_WORDS = {
    "KafkaConnectionError": "no broker lets us in: is it running, is kafka.servers right, do kafka.tls, "
    "ca_file, username, password and mechanism fit that port?",
    "NodeNotReadyError": "its connection broke off",
    "SaslAuthenticationFailed": "it refuses kafka.username or kafka.password",
    "AuthenticationFailedError": "it refuses kafka.username or kafka.password",
    "UnsupportedSaslMechanismError": "it does not know kafka.mechanism",
    "AuthenticationMethodNotSupported": "it does not know kafka.mechanism",
    "TopicAuthorizationFailedError": "kafka.username has no right to a topic; see k8s/components/kafka/users",
    "GroupAuthorizationFailedError": "kafka.username has no right to a group; see k8s/components/kafka/users",
    "ClusterAuthorizationFailedError": "kafka.username may not do this; see k8s/components/kafka/users",
    "UnknownTopicOrPartitionError": "a topic is not there",
    "InvalidReplicationFactorError": "it has fewer brokers than kafka.replicas asks for",
    "NotEnoughReplicasError": "too few of its brokers are up to keep an event safely",
    "NotEnoughReplicasAfterAppendError": "too few of its brokers are up to keep an event safely",
    "MessageSizeTooLargeError": "its limit of a record's size is below max.message.bytes of the topic",
    "TimeoutError": "it did not answer in time",
    "KafkaTimeoutError": "it did not answer in time",
    "RequestTimedOutError": "it did not answer in time",
}


def why(error: BaseException | type[BaseException]) -> str:
    """The error's name stays in it, for looking it up."""
    name = error.__name__ if isinstance(error, type) else type(error).__name__
    return f"{_WORDS[name]} ({name})" if name in _WORDS else name
