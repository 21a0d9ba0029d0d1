package main

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// observer is a shared informer and all that it said.
type observer struct {
	informer cache.SharedIndexInformer
	mutex    sync.Mutex
	states   map[state]int
	deleted  map[types.UID]int
	last     map[types.UID]uint64
	found    []string
}

// state is an object at one resource version.
type state struct {
	uid     types.UID
	version string
}

func startObserver(ctx context.Context, through kubernetes.Interface, namespace string) *observer {
	factory := informers.NewSharedInformerFactoryWithOptions(through, 0, informers.WithNamespace(namespace))
	o := &observer{
		informer: factory.Core().V1().ConfigMaps().Informer(),
		states:   map[state]int{},
		deleted:  map[types.UID]int{},
		last:     map[types.UID]uint64{},
	}
	// An error would mean that the informer was stopped before it was started.
	_, _ = o.informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(object any) { o.see(object.(*corev1.ConfigMap)) },
		UpdateFunc: func(old, object any) {
			before, after := old.(*corev1.ConfigMap), object.(*corev1.ConfigMap)
			switch {
			case before.UID != after.UID:
				// Deleted and made anew between two lists: client-go says so by one update.
				o.delete(before)
				o.see(after)
			case before.ResourceVersion != after.ResourceVersion:
				o.see(after)
			default:
				// A relist confirms what is in the store: nothing has happened.
			}
		},
		DeleteFunc: func(object any) {
			if unseen, ok := object.(cache.DeletedFinalStateUnknown); ok {
				object = unseen.Obj
			}
			o.delete(object.(*corev1.ConfigMap))
		},
	})
	factory.Start(ctx.Done())
	return o
}

func (o *observer) synced(ctx context.Context) error {
	if !cache.WaitForCacheSync(ctx.Done(), o.informer.HasSynced) {
		return errors.New("the informer did not sync")
	}
	return nil
}

func (o *observer) see(object *corev1.ConfigMap) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	o.states[state{object.UID, object.ResourceVersion}]++
	version, err := strconv.ParseUint(object.ResourceVersion, 10, 64)
	if err != nil || version <= o.last[object.UID] {
		o.found = append(o.found, fmt.Sprintf("informer: %s went from version %d to %s", object.Name, o.last[object.UID], object.ResourceVersion))
	}
	o.last[object.UID] = version
}

func (o *observer) delete(object *corev1.ConfigMap) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	o.deleted[object.UID]++
}

// holds says whether the last change of every object has arrived.
func (o *observer) holds(written []change) bool {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	for _, last := range lastOf(written) {
		if last.kind == watch.Deleted {
			if o.deleted[last.uid] == 0 && o.last[last.uid] != 0 {
				return false
			}
		} else if o.states[state{last.uid, last.version}] == 0 {
			return false
		}
	}
	return true
}

// problems says where the informer differs from what was written and from what is there.
func (o *observer) problems(written []change, there []corev1.ConfigMap, relisted bool, result *report) []string {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	problems := append([]string{}, o.found...)
	for seen, times := range o.states {
		result.Observed += times
		if times > 1 {
			problems = append(problems, fmt.Sprintf("informer: %+v came %d times", seen, times))
		}
	}
	known, created := map[state]bool{}, map[types.UID]bool{}
	for _, change := range written {
		if change.kind != watch.Deleted {
			known[state{change.uid, change.version}] = true
			created[change.uid] = o.last[change.uid] != 0
			if o.states[state{change.uid, change.version}] == 0 {
				result.LeftOut++
			}
			continue
		}
		// An object that came and went between two lists was never there for the informer.
		if times := o.deleted[change.uid]; times != 1 && (created[change.uid] || !relisted) {
			problems = append(problems, fmt.Sprintf("informer: the deletion of %s (%s) came %d times", change.name, change.uid, times))
		}
	}
	for seen := range o.states {
		if !known[seen] {
			problems = append(problems, fmt.Sprintf("informer: %+v was never written", seen))
		}
	}
	if result.LeftOut > 0 && !relisted {
		problems = append(problems, fmt.Sprintf("informer: %d states are missing, and it never listed anew", result.LeftOut))
	}
	return append(problems, o.compare(there)...)
}

func (o *observer) compare(there []corev1.ConfigMap) []string {
	var problems []string
	store := o.informer.GetStore()
	if len(store.ListKeys()) != len(there) {
		problems = append(problems, fmt.Sprintf("store: %d objects, a direct list has %d", len(store.ListKeys()), len(there)))
	}
	for at := range there {
		object, found, _ := store.GetByKey(there[at].Namespace + "/" + there[at].Name)
		if !found || !reflect.DeepEqual(object, &there[at]) {
			problems = append(problems, fmt.Sprintf("store: %s is %+v, a direct list has %+v", there[at].Name, object, there[at]))
		}
	}
	return problems
}

func lastOf(written []change) map[string]change {
	last := map[string]change{}
	for _, change := range written {
		last[change.name] = change
	}
	return last
}
