"""The installations that the chart is tested as, by name: what an operator would write into a values file."""

from typing import Any

SECRET = "image-gateway"
PRODUCTION: dict[str, Any] = {
    "mode": "production",
    "publicUrl": "https://images.example.com",
    "secrets": {"existingSecret": SECRET, "keys": {"stateUrl": "state_url", "adminToken": "admin_token"}},
    "config": {
        "blobs": "s3://acme-pictures/prod",
        "s3_region": "eu-central-1",
        "upstreams": {"openai": {"kind": "openai", "api_key": "${file:openai_api_key}", "concurrency": 64}},
        "accounts": [
            {
                "org": "acme",
                "budgets": ["10000usd/month"],
                "keys": [{"name": "ci", "secret": "${file:ci_key}", "budgets": ["50usd/day"]}],
            }
        ],
    },
}
CATALOG = """
models:
  poster:
    prompt_tokens_max: 2000
    sizes: ["1024x1024", "1:1"]
    offers:
      - {upstream: sandbox, model: sandbox, cost: {per_image_usd: 0.02}}
"""
PROXY = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "traefik"}}}
DATABASE = {"ipBlock": {"cidr": "10.20.30.40/32"}}

VALUE_SETS: dict[str, dict[str, Any]] = {
    "embedded": {},
    "embedded-own-secrets": {
        "secrets": {"existingSecret": SECRET, "keys": {"adminToken": "admin_token"}, "more": [{"name": "providers"}]},
        "catalog": CATALOG,
        "config": {"default_model": "poster", "upstreams": {"sandbox": {"kind": "sandbox"}}},
        "envFrom": [{"secretRef": {"name": "provider-keys"}}],
        "persistence": {"storageClass": "fast", "accessModes": ["ReadWriteOncePod"], "size": "50Gi"},
    },
    "embedded-for-a-look": {
        "persistence": {"enabled": False},
        "networkPolicy": {"enabled": False},
        "drain": {"preStopSeconds": 0, "acceptSeconds": 1, "seconds": 30},
        "service": {"type": "LoadBalancer", "port": 80},
    },
    "production": PRODUCTION,
    "production-one-database-only": {
        "mode": "production",
        "secrets": {"existingSecret": SECRET},
        "config": {"blobs": "gs://acme-pictures"},
        "migration": {"contract": False},
        "podDisruptionBudget": {"enabled": False},
        "topologySpread": {"enabled": False},
    },
    "production-shared-folder": {
        "mode": "production",
        "secrets": {"existingSecret": SECRET},
        "persistence": {"accessModes": ["ReadWriteMany"], "size": "1Ti", "annotations": {}},
    },
    "production-own-claim": {
        "mode": "production",
        "secrets": {"existingSecret": SECRET},
        "persistence": {"existingClaim": "pictures"},
    },
    "ingress": {
        **PRODUCTION,
        "publicUrl": "",
        "ingress": {
            "enabled": True,
            "className": "nginx",
            "host": "images.example.com",
            "tlsSecret": "images-tls",
            "annotations": {"nginx.ingress.kubernetes.io/proxy-body-size": "0"},
        },
    },
    "autoscaling": {**PRODUCTION, "autoscaling": {"enabled": True, "maxReplicas": 6}},
    "autoscaling-by-cpu": {**PRODUCTION, "autoscaling": {"enabled": True, "tasksInFlight": None}},
    "monitoring": {
        **PRODUCTION,
        "monitoring": {
            "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
            "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}},
            "dashboard": {"enabled": True, "annotations": {"grafana_folder": "Images"}},
        },
    },
    "own-network": {
        **PRODUCTION,
        "networkPolicy": {
            "callers": [PROXY],
            "scrapers": [],
            "database": {"to": [DATABASE], "port": 6432},
            "bucket": {"to": [{"podSelector": {"matchLabels": {"app": "minio"}}}], "port": 9000},
            "extraEgress": [{"to": [{"ipBlock": {"cidr": "169.254.170.23/32"}}], "ports": [{"port": 80}]}],
        },
    },
    "network-policy-off": {**PRODUCTION, "networkPolicy": {"enabled": False}},
    "own-config": {"mode": "production", "existingConfigMap": "gateway-config", "secrets": {"existingSecret": SECRET}},
    "scheduled": {
        **PRODUCTION,
        "image": {"repository": "registry.example.com/images/gateway", "digest": f"sha256:{'0a' * 32}"},
        "imagePullSecrets": [{"name": "registry"}],
        "serviceAccount": {"create": False, "name": "pictures"},
        "nodeSelector": {"pool": "web"},
        "tolerations": [{"key": "web", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "priorityClassName": "high",
        "podAnnotations": {"example.com/a": "b"},
        "podLabels": {"team": "media"},
        "env": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}],
        "fullnameOverride": "pictures",
    },
}
EXTERNAL = {
    "ConfigMap": {"gateway-config"},
    "PersistentVolumeClaim": {"pictures"},
    "ServiceAccount": {"pictures", "default"},
}
"""What those installations expect to be there."""
