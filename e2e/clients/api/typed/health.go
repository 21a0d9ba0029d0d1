package main

import (
	"context"
	"fmt"
	"reflect"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"

	"cluster-gateway/e2e/clients/api/v1alpha1"
)

// health writes a cluster's health as the prober of the OCM addon does: with the object that it read.
func health(ctx context.Context, client *v1alpha1.ClusterGateways, name string) error {
	before, err := client.GetHealthiness(ctx, name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	for _, status := range []v1alpha1.ClusterGatewayStatus{
		{Healthy: false, HealthyReason: "no answer"}, {Healthy: true, HealthyReason: ""},
	} {
		current, err := client.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		current.Status = status
		written, err := client.UpdateHealthiness(ctx, current, metav1.UpdateOptions{})
		if err != nil {
			return err
		}
		read, err := client.GetHealthiness(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if written.Status != status || !reflect.DeepEqual(written, read) {
			return fmt.Errorf("wrote %+v, was answered %+v, read %+v", status, written, read)
		}
		// Nothing but the status.
		current.ResourceVersion, written.ResourceVersion = "", ""
		if !reflect.DeepEqual(written.Spec, current.Spec) || written.UID != current.UID {
			return fmt.Errorf("%+v became %+v", current, written)
		}
	}
	// What was read before that is not the latest any more.
	before.Status.Healthy = false
	if _, err := client.UpdateHealthiness(ctx, before, metav1.UpdateOptions{}); !apierrors.IsConflict(err) {
		return fmt.Errorf("writing to an earlier version: %v", err)
	}
	return retry.RetryOnConflict(retry.DefaultRetry, func() error {
		current, err := client.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		current.Status.Healthy = true
		_, err = client.UpdateHealthiness(ctx, current, metav1.UpdateOptions{})
		return err
	})
}
