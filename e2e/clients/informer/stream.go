package main

import (
	"context"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
)

// stream is everything that a RetryWatcher gave, in order.
type stream struct {
	mutex  sync.Mutex
	events []change
	errors []string
}

func startStream(ctx context.Context, through kubernetes.Interface, namespace, from string) (*stream, error) {
	watcher, err := watchtools.NewRetryWatcherWithContext(ctx, from, &cache.ListWatch{
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			return through.CoreV1().ConfigMaps(namespace).Watch(ctx, options)
		},
	})
	if err != nil {
		return nil, err
	}
	s := &stream{}
	go func() {
		for event := range watcher.ResultChan() {
			s.add(event)
		}
		s.fail("the watcher gave up")
	}()
	return s, nil
}

func (s *stream) add(event watch.Event) {
	object, ok := event.Object.(*corev1.ConfigMap)
	switch {
	case event.Type == watch.Bookmark:
	case !ok:
		s.fail(fmt.Sprintf("%s with %v", event.Type, event.Object))
	default:
		s.mutex.Lock()
		defer s.mutex.Unlock()
		s.events = append(s.events, change{event.Type, object.Name, object.UID, object.ResourceVersion})
	}
}

func (s *stream) fail(message string) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.errors = append(s.errors, "stream: "+message)
}

func (s *stream) count() int {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return len(s.events)
}

func (s *stream) seen(changes int) bool { return s.count() >= changes }

// problems says where the stream differs from what was written.
func (s *stream) problems(written []change) []string {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	problems := append([]string{}, s.errors...)
	for at := 0; at < max(len(written), len(s.events)); at++ {
		var want, got change
		if at < len(written) {
			want = written[at]
		}
		if at < len(s.events) {
			got = s.events[at]
		}
		if want.kind == watch.Deleted {
			want.version = got.version
		}
		if want != got {
			// What follows is shifted by one: the first difference tells.
			return append(problems, fmt.Sprintf("stream: change %d of %d was %+v, came as %+v (%d came)", at, len(written), want, got, len(s.events)))
		}
	}
	return problems
}
