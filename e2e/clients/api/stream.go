package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
)

var resources = []schema.GroupVersionResource{
	{Group: group, Version: "v1alpha1", Resource: "clustergateways"},
	{Group: group, Version: "v1alpha1", Resource: "virtualclusters"},
}

// stream is a watch that is taken up where it ended, and what it said since the last list, part by part.
type stream struct {
	client   dynamic.ResourceInterface
	resource string
	mutex    sync.Mutex
	version  string
	store    map[string]*unstructured.Unstructured
	parts    []part
	found    []string
}

// part is what came after one list.
type part struct {
	from   uint64
	events []seen
}

type seen struct {
	kind    watch.EventType
	name    string
	uid     types.UID
	version uint64
}

func startStream(ctx context.Context, through dynamic.Interface, resource schema.GroupVersionResource) (*stream, error) {
	s := &stream{client: through.Resource(resource), resource: resource.Resource}
	if err := s.list(ctx); err != nil {
		return nil, err
	}
	go func() {
		for ctx.Err() == nil {
			if err := s.follow(ctx); err != nil {
				// The gateway is being restarted: the hub says so by 503.
				time.Sleep(50 * time.Millisecond)
			}
		}
	}()
	return s, nil
}

func (s *stream) list(ctx context.Context) error {
	list, err := s.client.List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.version = list.GetResourceVersion()
	s.store = map[string]*unstructured.Unstructured{}
	for at := range list.Items {
		item := &list.Items[at]
		s.store[item.GetName()] = item
	}
	s.parts = append(s.parts, part{from: number(s.version)})
	return nil
}

// follow watches until the watch ends.
func (s *stream) follow(ctx context.Context) error {
	if s.version == "" {
		if err := s.list(ctx); err != nil {
			return err
		}
	}
	watcher, err := s.client.Watch(ctx, metav1.ListOptions{ResourceVersion: s.version, AllowWatchBookmarks: true})
	if err != nil {
		return err
	}
	defer watcher.Stop()
	for event := range watcher.ResultChan() {
		if event.Type == watch.Error {
			status, _ := event.Object.(*metav1.Status)
			if status != nil && apierrors.HasStatusCause(&apierrors.StatusError{ErrStatus: *status}, metav1.CauseType("ClientWatchDecoding")) {
				// client-go's own word for a connection that broke: the gateway was killed.
				return nil
			}
			if status == nil || status.Code != 410 {
				s.problem("an ERROR event that is no 410: %+v", event.Object)
			}
			s.version = ""
			return nil
		}
		object, ok := event.Object.(*unstructured.Unstructured)
		if !ok {
			s.problem("an event with %T", event.Object)
			continue
		}
		s.take(event.Type, object)
	}
	return nil
}

func (s *stream) take(kind watch.EventType, object *unstructured.Unstructured) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if before, after := number(s.version), number(object.GetResourceVersion()); after < before {
		s.found = append(s.found, fmt.Sprintf("%s: went from version %d to %d", s.resource, before, after))
	}
	s.version = object.GetResourceVersion()
	name := object.GetName()
	_, known := s.store[name]
	switch kind {
	case watch.Bookmark:
		return
	case watch.Added:
		if known {
			s.found = append(s.found, fmt.Sprintf("%s: %s was added twice", s.resource, name))
		}
		s.store[name] = object
	case watch.Modified:
		if !known {
			s.found = append(s.found, fmt.Sprintf("%s: %s was modified before it was added", s.resource, name))
		}
		s.store[name] = object
	case watch.Deleted:
		if !known {
			s.found = append(s.found, fmt.Sprintf("%s: %s was deleted before it was added", s.resource, name))
		}
		delete(s.store, name)
	}
	last := &s.parts[len(s.parts)-1]
	last.events = append(last.events, seen{kind, name, object.GetUID(), number(object.GetResourceVersion())})
}

func (s *stream) problem(format string, arguments ...any) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.found = append(s.found, s.resource+": "+fmt.Sprintf(format, arguments...))
}

func (s *stream) holds(written []change) bool {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	for name, last := range lastOf(written) {
		object, there := s.store[name]
		if there == last.deleted || there && number(object.GetResourceVersion()) < last.version {
			return false
		}
	}
	return true
}

// problems compares each part with what was written in the meantime: between its list and its last event nothing may
// be missing and nothing may be there twice.
func (s *stream) problems(ctx context.Context, written []change, result *report) []string {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	problems := append([]string{}, s.found...)
	result.Relisted += len(s.parts) - 1
	for _, part := range s.parts {
		result.Streamed += len(part.events)
		problems = append(problems, s.missing(part, written)...)
	}
	return append(problems, compareWithList(ctx, s.client, s.resource, s.store)...)
}

func (s *stream) missing(part part, written []change) []string {
	var problems []string
	if len(part.events) == 0 {
		return nil
	}
	end := part.events[len(part.events)-1].version
	came := map[seen]int{}
	deletions := map[types.UID]int{}
	for _, event := range part.events {
		if event.kind == watch.Deleted {
			deletions[event.uid]++
			continue
		}
		came[seen{name: event.name, uid: event.uid, version: event.version}]++
	}
	for state, times := range came {
		// What time alone has changed is another state of the same version, at the most.
		if times > 1 {
			problems = append(problems, fmt.Sprintf("%s: %+v came %d times", s.resource, state, times))
		}
	}
	for at, change := range written {
		if change.deleted {
			// The hub does not say when, but what was written before and after it does.
			begin, limit := around(written, at)
			if begin >= part.from && limit != 0 && limit <= end && deletions[change.uid] != 1 {
				problems = append(problems, fmt.Sprintf("%s: the deletion of %s came %d times", s.resource, change.name, deletions[change.uid]))
			}
			continue
		}
		if change.version <= part.from || change.version > end {
			continue
		}
		if came[seen{name: change.name, uid: change.uid, version: change.version}] == 0 {
			problems = append(problems, fmt.Sprintf("%s: version %d of %s is missing between %d and %d", s.resource, change.version, change.name, part.from, end))
		}
	}
	for uid, times := range deletions {
		if times > 1 {
			problems = append(problems, fmt.Sprintf("%s: the deletion of %s came %d times", s.resource, uid, times))
		}
	}
	return problems
}

// around gives the versions of the writes before and after one; 0 where there is none.
func around(written []change, at int) (uint64, uint64) {
	var begin, end uint64
	for before := at; before >= 0 && begin == 0; before-- {
		begin = written[before].version
	}
	for after := at; after < len(written) && end == 0; after++ {
		end = written[after].version
	}
	return begin, end
}
