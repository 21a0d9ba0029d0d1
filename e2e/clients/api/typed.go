package main

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	clientgo "k8s.io/client-go/tools/cache"

	"cluster-gateway/e2e/clients/api/v1alpha1"
)

// typed is what generated clients have.
type typed[L runtime.Object] interface {
	List(ctx context.Context, options metav1.ListOptions) (L, error)
	Watch(ctx context.Context, options metav1.ListOptions) (watch.Interface, error)
}

// lists keeps an informer from streaming its lists, as those from before client-go 0.35 do not.
type lists struct{}

func (lists) IsWatchListSemanticsUnSupported() bool { return true }

// startTyped starts two informers of typed clients, as informer-gen makes them: one streams its lists, one lists.
func startTyped(ctx context.Context, client *v1alpha1.Client, resource string) ([]reader, error) {
	var readers []reader
	for what, strategy := range map[string]any{"streaming typed informer": client, "listing typed informer": lists{}} {
		var started *observer
		var err error
		if resource == "virtualclusters" {
			started, err = startTypedInformer(ctx, what, resource, client.VirtualClusters(), &v1alpha1.VirtualCluster{}, strategy)
		} else {
			started, err = startTypedInformer(ctx, what, resource, client.ClusterGateways(), &v1alpha1.ClusterGateway{}, strategy)
		}
		if err != nil {
			return nil, err
		}
		readers = append(readers, started)
	}
	return readers, nil
}

func startTypedInformer[L runtime.Object](
	ctx context.Context, what, resource string, client typed[L], example runtime.Object, strategy any,
) (*observer, error) {
	o := newObserver(what, resource)
	listWatch := &clientgo.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			return client.List(ctx, options)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			return client.Watch(ctx, options)
		},
	}
	listerWatcher := clientgo.ToListWatcherWithWatchListSemantics(listWatch, strategy)
	informer := clientgo.NewSharedIndexInformer(listerWatcher, example, 0, clientgo.Indexers{})
	if _, err := informer.AddEventHandler(o.handler()); err != nil {
		return nil, err
	}
	o.compare = func(ctx context.Context) []string {
		list, err := client.List(ctx, metav1.ListOptions{})
		if err != nil {
			return []string{err.Error()}
		}
		return compareTyped(what+" of "+resource, informer.GetStore(), list)
	}
	go informer.RunWithContext(ctx)
	if !clientgo.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return nil, errors.New("the " + what + " did not sync")
	}
	return o, nil
}

// compareTyped says where a store differs from what is listed.
func compareTyped(what string, store clientgo.Store, list runtime.Object) []string {
	items, err := meta.ExtractList(list)
	if err != nil {
		return []string{err.Error()}
	}
	var problems []string
	if len(store.ListKeys()) != len(items) {
		problems = append(problems, fmt.Sprintf("%s: %v, a list has %d", what, store.ListKeys(), len(items)))
	}
	for _, item := range items {
		kept, found, err := store.Get(item)
		if err != nil || !found {
			problems = append(problems, fmt.Sprintf("%s: %+v is missing (%v)", what, item, err))
			continue
		}
		if one, other := withoutKind(kept.(runtime.Object)), withoutKind(item); !reflect.DeepEqual(one, other) {
			problems = append(problems, fmt.Sprintf("%s: %+v, a list has %+v", what, one, other))
		}
	}
	return problems
}

// withoutKind leaves out what typed clients find in the items of a list and not in anything else.
func withoutKind(object runtime.Object) runtime.Object {
	copied := object.DeepCopyObject()
	copied.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{})
	return copied
}
