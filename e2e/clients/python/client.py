"""Reads the gateway's own resources through a hub with the Python client, as an operator written in Python would.

Says `ready` once its watch has begun, then a line for each event, and ends when the cluster that it was told of has
come and gone. Takes a kubeconfig, a group and that cluster's name.
"""

import sys

from kubernetes import client, config, watch

kubeconfig, group, name = sys.argv[1:]
config.load_kube_config(kubeconfig)
api = client.CustomObjectsApi()

for plural, kind in (("clustergateways", "ClusterGateway"), ("virtualclusters", "VirtualCluster")):
    listed = api.list_cluster_custom_object(group, "v1alpha1", plural)
    names = [item["metadata"]["name"] for item in listed["items"]]
    print(f"list {plural} {','.join(names)}", flush=True)
    for item in names:
        got = api.get_cluster_custom_object(group, "v1alpha1", plural, item)
        assert got["kind"] == kind and got["metadata"]["name"] == item, got

try:
    api.get_cluster_custom_object(group, "v1alpha1", "clustergateways", "none-of-that-name")
except client.ApiException as error:
    print(f"missing {error.status}", flush=True)

version = api.list_cluster_custom_object(group, "v1alpha1", "clustergateways")["metadata"]["resourceVersion"]
print("ready", flush=True)
# One after the other, from the same version: the second one tells what was told before.
for plural in ("clustergateways", "virtualclusters"):
    events = watch.Watch().stream(
        api.list_cluster_custom_object, group, "v1alpha1", plural, resource_version=version, timeout_seconds=60
    )
    for event in events:
        print(f"event {plural} {event['type']} {event['object']['metadata']['name']}", flush=True)
        if event["type"] == "DELETED" and event["object"]["metadata"]["name"] == name:
            break
