"""JSON Schema of the fields that k8s/ uses of the resources of KEDA, Strimzi and the Prometheus Operator, and
of Kustomize's own files.

By hand after their published definitions; strict: a field that is not here fails, so a slip of the pen
does too.
"""

from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string", "minLength": 1}
NAME: Schema = {"type": "string", "pattern": r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", "maxLength": 253}
COUNT: Schema = {"type": "integer", "minimum": 0}
NUMBER_AS_TEXT: Schema = {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?$"}
LABELS: Schema = {"type": "object", "additionalProperties": {"type": "string"}}


def closed(required: str, **properties: Schema) -> Schema:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": required.split(),
        "properties": properties,
    }


def some(item: Schema) -> Schema:
    return {"type": "array", "minItems": 1, "items": item}


def one_of(*values: object) -> Schema:
    return {"enum": list(values)}


def resource(api: str, kind: str, spec: Schema) -> Schema:
    metadata = closed("name", name=NAME, namespace=NAME, labels=LABELS, annotations=LABELS)
    return closed(
        "apiVersion kind metadata spec",
        apiVersion=one_of(api),
        kind=one_of(kind),
        metadata=metadata,
        spec=spec,
    )


_POLICIES = some(
    closed("type value periodSeconds", type=one_of("Pods", "Percent"), value=COUNT, periodSeconds=COUNT)
)
_RULES = closed("policies", stabilizationWindowSeconds=COUNT, policies=_POLICIES)
_TRIGGERS = {
    "oneOf": [
        closed(
            "type metadata metricType",
            type=one_of("cpu"),
            metricType=one_of("Utilization"),
            metadata=closed("value", value=NUMBER_AS_TEXT),
        ),
        closed(
            "type metadata authenticationRef",
            type=one_of("kafka"),
            authenticationRef=closed("name", name=NAME),
            metadata=closed(
                "bootstrapServers consumerGroup lagThreshold",
                bootstrapServers=TEXT,
                consumerGroup=TEXT,
                topic=TEXT,
                lagThreshold=NUMBER_AS_TEXT,
                offsetResetPolicy=one_of("earliest", "latest"),
                sasl=one_of("none", "plaintext", "scram_sha256", "scram_sha512"),
                tls=one_of("enable", "disable"),
            ),
        ),
        closed(
            "type metadata",
            type=one_of("prometheus"),
            metadata=closed(
                "serverAddress query threshold", serverAddress=TEXT, query=TEXT, threshold=NUMBER_AS_TEXT
            ),
        ),
    ]
}
SCALED_OBJECT = resource(
    "keda.sh/v1alpha1",
    "ScaledObject",
    closed(
        "scaleTargetRef triggers",
        scaleTargetRef=closed(
            "name", apiVersion=one_of("apps/v1"), kind=one_of("Deployment", "StatefulSet"), name=NAME
        ),
        pollingInterval=COUNT,
        cooldownPeriod=COUNT,
        minReplicaCount=COUNT,
        maxReplicaCount=COUNT,
        fallback=closed("failureThreshold replicas", failureThreshold=COUNT, replicas=COUNT),
        advanced=closed(
            "horizontalPodAutoscalerConfig",
            horizontalPodAutoscalerConfig=closed(
                "behavior", behavior=closed("", scaleUp=_RULES, scaleDown=_RULES)
            ),
        ),
        triggers=some(_TRIGGERS),
    ),
)
_REFERENCES = some(closed("parameter name key", parameter=TEXT, name=NAME, key=TEXT))
TRIGGER_AUTHENTICATION = resource(
    "keda.sh/v1alpha1",
    "TriggerAuthentication",
    closed("secretTargetRef", secretTargetRef=_REFERENCES, configMapTargetRef=_REFERENCES),
)

KAFKA_TOPIC = resource(
    "kafka.strimzi.io/v1",
    "KafkaTopic",
    closed(
        "partitions replicas config",
        partitions={"type": "integer", "minimum": 1},
        replicas={"type": "integer", "minimum": 1, "maximum": 32767},
        topicName=TEXT,
        config=closed(
            "cleanup.policy",
            **{
                "cleanup.policy": one_of("delete", "compact"),
                "retention.ms": COUNT,
                "max.message.bytes": COUNT,
                "min.insync.replicas": {"type": "integer", "minimum": 1},
            },
        ),
    ),
)
_ACL = closed(
    "resource operations",
    type=one_of("allow", "deny"),
    host=TEXT,
    resource=closed(
        "type name",
        type=one_of("topic", "group", "cluster", "transactionalId"),
        name=TEXT,
        patternType=one_of("literal", "prefix"),
    ),
    operations=some(
        one_of("Read", "Write", "Create", "Delete", "Alter", "Describe", "DescribeConfigs", "IdempotentWrite")
    ),
)
KAFKA_USER = resource(
    "kafka.strimzi.io/v1",
    "KafkaUser",
    closed(
        "authentication authorization",
        authentication=closed("type", type=one_of("tls", "tls-external", "scram-sha-512")),
        authorization=closed("type acls", type=one_of("simple"), acls=some(_ACL)),
    ),
)
_RESOURCES = closed("requests", requests=LABELS, limits=LABELS)
KAFKA_NODE_POOL = resource(
    "kafka.strimzi.io/v1",
    "KafkaNodePool",
    closed(
        "replicas roles storage",
        replicas=COUNT,
        roles=some(one_of("controller", "broker")),
        resources=_RESOURCES,
        storage=closed(
            "type volumes",
            type=one_of("jbod"),
            volumes=some(
                closed(
                    "id type size",
                    id=COUNT,
                    type=one_of("persistent-claim"),
                    size=TEXT,
                    deleteClaim={"type": "boolean"},
                    kraftMetadata=one_of("shared"),
                )
            ),
        ),
        template=closed(
            "pod",
            pod=closed(
                "topologySpreadConstraints",
                topologySpreadConstraints=some(
                    closed(
                        "maxSkew topologyKey whenUnsatisfiable labelSelector",
                        maxSkew=COUNT,
                        topologyKey=TEXT,
                        whenUnsatisfiable=one_of("DoNotSchedule", "ScheduleAnyway"),
                        labelSelector=closed("matchLabels", matchLabels=LABELS),
                    )
                ),
            ),
        ),
    ),
)
KAFKA = resource(
    "kafka.strimzi.io/v1",
    "Kafka",
    closed(
        "kafka entityOperator",
        kafka=closed(
            "listeners authorization config",
            version=TEXT,
            listeners=some(
                closed(
                    "name port type tls authentication",
                    name={"type": "string", "pattern": "^[a-z0-9]{1,11}$"},
                    port={"type": "integer", "minimum": 9092},
                    type=one_of("internal", "loadbalancer"),
                    tls={"type": "boolean"},
                    authentication=closed("type", type=one_of("scram-sha-512", "tls")),
                )
            ),
            authorization=closed("type", type=one_of("simple")),
            rack=closed("topologyKey", topologyKey=TEXT),
            config={"type": "object", "additionalProperties": {"type": ["integer", "string", "boolean"]}},
        ),
        entityOperator=closed(
            "topicOperator userOperator", topicOperator=closed(""), userOperator=closed("")
        ),
    ),
)

_DURATION: Schema = {"type": "string", "pattern": "^[0-9]+[smhd]$"}
POD_MONITOR = resource(
    "monitoring.coreos.com/v1",
    "PodMonitor",
    closed(
        "selector podMetricsEndpoints",
        selector=closed("matchLabels", matchLabels=LABELS),
        podMetricsEndpoints=some(
            closed("port", port=TEXT, path=TEXT, interval=_DURATION, scrapeTimeout=_DURATION)
        ),
    ),
)
_ALERT = closed(
    "alert expr labels annotations",
    alert={"type": "string", "pattern": "^Anteroom[A-Za-z0-9]+$"},
    expr=TEXT,
    labels=closed("severity", severity=one_of("info", "warning", "critical")),
    annotations=closed("summary description", summary=TEXT, description=TEXT),
    **{"for": _DURATION},
)
PROMETHEUS_RULE = resource(
    "monitoring.coreos.com/v1",
    "PrometheusRule",
    closed("groups", groups=some(closed("name rules", name=TEXT, rules=some(_ALERT)))),
)

CRDS: dict[str, Schema] = {
    "PodMonitor": POD_MONITOR,
    "PrometheusRule": PROMETHEUS_RULE,
    "ScaledObject": SCALED_OBJECT,
    "TriggerAuthentication": TRIGGER_AUTHENTICATION,
    "KafkaTopic": KAFKA_TOPIC,
    "KafkaUser": KAFKA_USER,
    "KafkaNodePool": KAFKA_NODE_POOL,
    "Kafka": KAFKA,
}

_GENERATOR = some(
    closed(
        "name",
        name=NAME,
        behavior=one_of("merge", "replace", "create"),
        envs=some(TEXT),
        files=some(TEXT),
        literals=some(TEXT),
        options=closed("", disableNameSuffixHash={"type": "boolean"}, labels=LABELS),
    )
)
KUSTOMIZATION: Schema = closed(
    "apiVersion kind",
    apiVersion=one_of("kustomize.config.k8s.io/v1beta1", "kustomize.config.k8s.io/v1alpha1"),
    kind=one_of("Kustomization", "Component"),
    namespace=NAME,
    resources=some(TEXT),
    components=some(TEXT),
    labels=some(closed("pairs", pairs=LABELS, includeTemplates={"type": "boolean"})),
    configMapGenerator=_GENERATOR,
    secretGenerator=_GENERATOR,
    patches=some(closed("", path=TEXT, patch=TEXT, target=closed("kind", kind=TEXT, name=TEXT))),
    replicas=some(closed("name count", name=NAME, count=COUNT)),
    images=some(closed("name newTag", name=TEXT, newName=TEXT, newTag=TEXT)),
)
