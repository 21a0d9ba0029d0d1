package main

import (
	"context"
	"fmt"
	"reflect"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"cluster-gateway/e2e/clients/api/v1alpha1"
)

// read lists both resources, whole and in parts and by selectors, and gets each object.
func read(ctx context.Context, client *v1alpha1.Client, result *report) error {
	gateways, err := client.ClusterGateways().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	result.Credentials = map[string]*v1alpha1.ClusterAccessCredential{}
	for _, listed := range gateways.Items {
		result.ClusterGateways = append(result.ClusterGateways, listed.Name)
		result.Credentials[listed.Name] = listed.Spec.Access.Credential
		got, err := client.ClusterGateways().Get(ctx, listed.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		got.TypeMeta, listed.TypeMeta = metav1.TypeMeta{}, metav1.TypeMeta{}
		if !reflect.DeepEqual(*got, listed) {
			return fmt.Errorf("got %+v, listed %+v", *got, listed)
		}
	}
	clusters, err := client.VirtualClusters().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for _, listed := range clusters.Items {
		result.VirtualClusters = append(result.VirtualClusters, listed.Name)
		got, err := client.VirtualClusters().Get(ctx, listed.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		got.TypeMeta, listed.TypeMeta = metav1.TypeMeta{}, metav1.TypeMeta{}
		if !reflect.DeepEqual(*got, listed) {
			return fmt.Errorf("got %+v, listed %+v", *got, listed)
		}
	}
	if err := narrow(ctx, client, result); err != nil {
		return err
	}
	_, err = client.ClusterGateways().Get(ctx, "none-of-that-name", metav1.GetOptions{})
	if !apierrors.IsNotFound(err) {
		return fmt.Errorf("a cluster that is not there: %v", err)
	}
	// Clusters are made of Secrets, and of nothing else.
	_, err = client.ClusterGateways().Create(ctx, &v1alpha1.ClusterGateway{}, metav1.CreateOptions{})
	if !apierrors.IsMethodNotSupported(err) {
		return fmt.Errorf("making one: %v", err)
	}
	return nil
}

// narrow lists in parts and by selectors.
func narrow(ctx context.Context, client *v1alpha1.Client, result *report) error {
	var names []string
	options := metav1.ListOptions{Limit: 1}
	for {
		part, err := client.ClusterGateways().List(ctx, options)
		if err != nil {
			return err
		}
		for _, item := range part.Items {
			names = append(names, item.Name)
		}
		if options.Continue = part.Continue; options.Continue == "" {
			break
		}
	}
	if !reflect.DeepEqual(names, result.ClusterGateways) {
		return fmt.Errorf("in parts %v, at once %v", names, result.ClusterGateways)
	}
	byField, err := client.ClusterGateways().List(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + names[0]})
	if err != nil {
		return err
	}
	if len(byField.Items) != 1 || byField.Items[0].Name != names[0] {
		return fmt.Errorf("by name: %+v", byField.Items)
	}
	byLabel, err := client.VirtualClusters().List(ctx, metav1.ListOptions{LabelSelector: "cluster.core.oam.dev/control-plane=true"})
	if err != nil {
		return err
	}
	if len(byLabel.Items) != 1 || byLabel.Items[0].Name != "local" {
		return fmt.Errorf("by label: %+v", byLabel.Items)
	}
	return nil
}
