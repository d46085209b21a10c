"""What an operator is told when an engine does not do what was asked."""

import pytest
from aiokafka.errors import KafkaConnectionError
from pymongo.errors import AutoReconnect, OperationFailure, ServerSelectionTimeoutError
from urllib3.exceptions import MaxRetryError, SSLError

from kit.bus import kafka_words
from kit.bus.kafka_settings import KafkaSettings, security
from kit.bus.kafka_words import why as of_kafka
from kit.documents import mongo_words
from kit.documents.mongo import Mongo, MongoSettings
from kit.documents.mongo_words import why as of_mongo
from kit.errors import PermanentError
from kit.objects.s3_words import why as of_s3


def test_kafka_is_told_by_its_settings_and_what_is_unknown_by_name() -> None:
    assert "kafka.servers" in of_kafka(KafkaConnectionError("10.0.0.1 is away"))
    assert "10.0.0.1" not in of_kafka(KafkaConnectionError("10.0.0.1 is away"))
    assert of_kafka(LookupError()) == "LookupError"


def test_every_name_is_one_that_the_clients_have() -> None:
    from aiokafka import errors as kafka
    from pymongo import errors as mongo

    assert {name for name in kafka_words._WORDS if not hasattr(kafka, name)} == {"TimeoutError"}
    assert {name for name in mongo_words._WORDS if not hasattr(mongo, name)} == set()


def test_the_document_store_is_told_without_its_address() -> None:
    assert "mongo.url" in of_mongo(ServerSelectionTimeoutError("10.0.0.1:27017: refused"))
    assert "10.0.0.1" not in of_mongo(ServerSelectionTimeoutError("10.0.0.1:27017: refused"))
    assert "tlsCAFile" in of_mongo(ServerSelectionTimeoutError("SSL handshake failed"))
    assert "password" in of_mongo(OperationFailure("no", 18))
    assert "readWrite" in of_mongo(OperationFailure("no", 13))
    assert "broke off" in of_mongo(AutoReconnect())


def test_the_object_store_is_told_by_the_setting_that_is_wrong() -> None:
    assert "s3.secret_key" in of_s3(ValueError(), "SignatureDoesNotMatch")
    assert "NTP" in of_s3(ValueError(), "RequestTimeTooSkewed")
    assert "s3.endpoint" in of_s3(MaxRetryError(None, "/", ConnectionRefusedError()))
    assert "s3.secure" in of_s3(MaxRetryError(None, "/", SSLError()))
    assert of_s3(ValueError(), "SlowDown") == "SlowDown"


def test_certificates_that_are_not_there_are_told_by_their_settings() -> None:
    with pytest.raises(PermanentError, match=r"kafka\.ca_file"):
        security(KafkaSettings(tls=True, ca_file="absent.crt"))


def test_an_address_that_is_none_is_refused_without_its_password() -> None:
    with pytest.raises(PermanentError) as caught:
        Mongo(MongoSettings(url="mongodb://user:hu@sh@127.0.0.1"))
    assert "sh" not in str(caught.value).split()
    assert caught.value.__suppress_context__
