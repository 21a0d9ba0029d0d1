package main

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/rest"
	clientgo "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// observer is an informer or a cache, and all that it said.
type observer struct {
	what     string
	resource string
	// compare says where its store differs from a list.
	compare func(ctx context.Context) []string
	mutex   sync.Mutex
	states  map[state]int
	deleted map[types.UID]int
	last    map[types.UID]uint64
	found   []string
}

type state struct {
	uid     types.UID
	version uint64
}

func newObserver(what, resource string) *observer {
	return &observer{
		what:     what,
		resource: resource,
		states:   map[state]int{},
		deleted:  map[types.UID]int{},
		last:     map[types.UID]uint64{},
	}
}

func startInformer(ctx context.Context, through dynamic.Interface, resource schema.GroupVersionResource) (*observer, error) {
	o := newObserver("informer", resource.Resource)
	informer := dynamicinformer.NewDynamicSharedInformerFactory(through, 0).ForResource(resource).Informer()
	if _, err := informer.AddEventHandler(o.handler()); err != nil {
		return nil, err
	}
	o.compare = func(ctx context.Context) []string {
		store := map[string]*unstructured.Unstructured{}
		for _, object := range informer.GetStore().List() {
			object := object.(*unstructured.Unstructured)
			store[object.GetName()] = object
		}
		return compareWithList(ctx, through.Resource(resource), "informer of "+resource.Resource, store)
	}
	go informer.Run(ctx.Done())
	if !clientgo.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return nil, errors.New("the informer did not sync")
	}
	return o, nil
}

func startCache(ctx context.Context, config *rest.Config, through dynamic.Interface, resource schema.GroupVersionResource) (*observer, error) {
	o := newObserver("cache", resource.Resource)
	scheme := runtime.NewScheme()
	version := schema.GroupVersion{Group: group, Version: "v1alpha1"}
	scheme.AddKnownTypes(version, &ClusterGateway{}, &ClusterGatewayList{}, &VirtualCluster{}, &VirtualClusterList{})
	metav1.AddToGroupVersion(scheme, version)
	all, err := cache.New(config, cache.Options{Scheme: scheme})
	if err != nil {
		return nil, err
	}
	var one client.Object = &ClusterGateway{}
	if resource.Resource == "virtualclusters" {
		one = &VirtualCluster{}
	}
	go func() { _ = all.Start(ctx) }()
	informer, err := all.GetInformer(ctx, one)
	if err != nil {
		return nil, err
	}
	if _, err := informer.AddEventHandler(o.handler()); err != nil {
		return nil, err
	}
	if !all.WaitForCacheSync(ctx) {
		return nil, errors.New("the cache did not sync")
	}
	o.compare = func(ctx context.Context) []string {
		var list client.ObjectList = &ClusterGatewayList{}
		if resource.Resource == "virtualclusters" {
			list = &VirtualClusterList{}
		}
		if err := all.List(ctx, list); err != nil {
			return []string{err.Error()}
		}
		store, err := unstructuredItems(list)
		if err != nil {
			return []string{err.Error()}
		}
		return compareWithList(ctx, through.Resource(resource), "cache of "+resource.Resource, store)
	}
	return o, nil
}

func (o *observer) handler() clientgo.ResourceEventHandler {
	return clientgo.ResourceEventHandlerFuncs{
		AddFunc: func(object any) { o.see(object.(metav1.Object)) },
		UpdateFunc: func(old, object any) {
			before, after := old.(metav1.Object), object.(metav1.Object)
			switch {
			case before.GetUID() != after.GetUID():
				// Deleted and made anew between two lists: client-go says so by one update.
				o.delete(before)
				o.see(after)
			case before.GetResourceVersion() != after.GetResourceVersion():
				o.see(after)
			default:
				// A relist confirms what is in the store: nothing has happened.
			}
		},
		DeleteFunc: func(object any) {
			if unseen, ok := object.(clientgo.DeletedFinalStateUnknown); ok {
				object = unseen.Obj
			}
			o.delete(object.(metav1.Object))
		},
	}
}

func (o *observer) see(object metav1.Object) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	version := number(object.GetResourceVersion())
	o.states[state{object.GetUID(), version}]++
	if version <= o.last[object.GetUID()] {
		o.found = append(o.found, fmt.Sprintf("%s of %s: %s went from version %d to %d", o.what, o.resource, object.GetName(), o.last[object.GetUID()], version))
	}
	o.last[object.GetUID()] = version
}

func (o *observer) delete(object metav1.Object) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	o.deleted[object.GetUID()]++
}

func (o *observer) holds(written []change) bool {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	for _, last := range lastOf(written) {
		if last.deleted {
			if o.deleted[last.uid] == 0 && o.last[last.uid] != 0 {
				return false
			}
		} else if o.states[state{last.uid, last.version}] == 0 {
			return false
		}
	}
	return true
}

func (o *observer) problems(ctx context.Context, written []change, result *report) []string {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	problems := append([]string{}, o.found...)
	known := map[state]bool{}
	for _, change := range written {
		if !change.deleted {
			known[state{change.uid, change.version}] = true
			continue
		}
		// An object that came and went between two lists was never there for the informer.
		if times := o.deleted[change.uid]; times > 1 || times == 0 && o.last[change.uid] != 0 {
			problems = append(problems, fmt.Sprintf("%s of %s: the deletion of %s came %d times", o.what, o.resource, change.name, times))
		}
	}
	for seen, times := range o.states {
		result.Observed += times
		if times > 1 {
			problems = append(problems, fmt.Sprintf("%s of %s: %+v came %d times", o.what, o.resource, seen, times))
		}
		if seen.uid != "" && !known[seen] {
			problems = append(problems, fmt.Sprintf("%s of %s: %+v was never written", o.what, o.resource, seen))
		}
	}
	return append(problems, o.compare(ctx)...)
}

// compareWithList says where a store differs from what is listed.
func compareWithList(ctx context.Context, client dynamic.ResourceInterface, what string, store map[string]*unstructured.Unstructured) []string {
	list, err := client.List(ctx, metav1.ListOptions{})
	if err != nil {
		return []string{err.Error()}
	}
	var problems []string
	if len(store) != len(list.Items) {
		problems = append(problems, fmt.Sprintf("%s: %d objects, a list has %d", what, len(store), len(list.Items)))
	}
	for at := range list.Items {
		listed := &list.Items[at]
		kept, found := store[listed.GetName()]
		if !found {
			problems = append(problems, fmt.Sprintf("%s: %s is missing", what, listed.GetName()))
			continue
		}
		// Of each process's own: the gateway was restarted.
		if one, other := comparable(kept), comparable(listed); !reflect.DeepEqual(one, other) {
			problems = append(problems, fmt.Sprintf("%s: %s is %+v, a list has %+v", what, listed.GetName(), one, other))
		}
	}
	return problems
}

func comparable(object *unstructured.Unstructured) map[string]any {
	copied := object.DeepCopy().Object
	conditions, _, _ := unstructured.NestedSlice(copied, "status", "conditions")
	for _, condition := range conditions {
		delete(condition.(map[string]any), "lastTransitionTime")
	}
	if conditions != nil {
		_ = unstructured.SetNestedSlice(copied, conditions, "status", "conditions")
	}
	return copied
}
