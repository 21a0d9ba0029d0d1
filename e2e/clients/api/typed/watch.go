package main

import (
	"context"
	"fmt"
	"os"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"cluster-gateway/e2e/clients/api/v1alpha1"
)

// follow watches both resources from what is listed until the cluster has come and gone on each, and gives what was
// said of it.
func follow(ctx context.Context, client *v1alpha1.Client, passing string) ([]string, error) {
	gateways, err := client.ClusterGateways().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	clusters, err := client.VirtualClusters().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	first, err := client.ClusterGateways().Watch(ctx, metav1.ListOptions{ResourceVersion: gateways.ResourceVersion})
	if err != nil {
		return nil, err
	}
	defer first.Stop()
	second, err := client.VirtualClusters().Watch(ctx, metav1.ListOptions{ResourceVersion: clusters.ResourceVersion})
	if err != nil {
		return nil, err
	}
	defer second.Stop()
	fmt.Fprintln(os.Stderr, "typed: ready")
	said, err := until(ctx, first, passing)
	if err != nil {
		return nil, err
	}
	others, err := until(ctx, second, passing)
	return append(said, others...), err
}

// until reads events until the cluster is gone.
func until(ctx context.Context, watcher watch.Interface, passing string) ([]string, error) {
	var said []string
	for {
		select {
		case event, open := <-watcher.ResultChan():
			if !open {
				return nil, fmt.Errorf("the watch has ended after %v", said)
			}
			var kind, name string
			switch object := event.Object.(type) {
			case *v1alpha1.ClusterGateway:
				kind, name = "ClusterGateway", object.Name
			case *v1alpha1.VirtualCluster:
				kind, name = "VirtualCluster", object.Name
			default:
				return nil, fmt.Errorf("%s with %+v", event.Type, event.Object)
			}
			if name != passing {
				continue
			}
			said = append(said, fmt.Sprintf("%s %s", event.Type, kind))
			if event.Type == watch.Deleted {
				return said, nil
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
