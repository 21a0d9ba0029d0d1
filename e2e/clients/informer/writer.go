package main

import (
	"context"
	"fmt"
	"math/rand"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
)

// change is one change of an object, as the cluster confirmed it.
type change struct {
	kind watch.EventType
	name string
	uid  types.UID
	// Empty for a deletion: the cluster does not tell its writer.
	version string
}

// write makes the changes one after the other, so that their order is known, at an even pace over the duration.
func write(ctx context.Context, direct kubernetes.Interface, o options) ([]change, error) {
	maps := direct.CoreV1().ConfigMaps(o.namespace)
	random := rand.New(rand.NewSource(1))
	alive := map[string]*corev1.ConfigMap{}
	written := make([]change, 0, o.events)
	start := time.Now()
	for len(written) < o.events {
		if err := pace(ctx, start, o, len(written)); err != nil {
			return nil, err
		}
		name := fmt.Sprintf("map-%d", random.Intn(o.objects))
		object := alive[name]
		switch {
		case object == nil:
			fresh := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: map[string]string{"change": fmt.Sprint(len(written))}}
			created, err := maps.Create(ctx, fresh, metav1.CreateOptions{})
			if err != nil {
				return nil, err
			}
			alive[name] = created
			written = append(written, change{watch.Added, name, created.UID, created.ResourceVersion})
		case random.Intn(8) == 0:
			if err := maps.Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
				return nil, err
			}
			delete(alive, name)
			written = append(written, change{watch.Deleted, name, object.UID, ""})
		default:
			object.Data["change"] = fmt.Sprint(len(written))
			updated, err := maps.Update(ctx, object, metav1.UpdateOptions{})
			if err != nil {
				return nil, err
			}
			alive[name] = updated
			written = append(written, change{watch.Modified, name, updated.UID, updated.ResourceVersion})
		}
	}
	return written, nil
}

func pace(ctx context.Context, start time.Time, o options, number int) error {
	due := start.Add(o.duration * time.Duration(number) / time.Duration(o.events))
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Until(due)):
		return nil
	}
}
