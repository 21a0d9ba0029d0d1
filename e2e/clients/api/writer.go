package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

const group = "cluster.core.oam.dev"

// change is one write of a Secret, as the hub answered it.
type change struct {
	name    string
	uid     types.UID
	version uint64
	deleted bool
}

// write makes, changes and deletes Secrets at an even pace. The version of a deletion is not in the hub's answer, so
// that it is 0.
func write(ctx context.Context, secrets kubernetes.Interface, o options) ([]change, error) {
	client := secrets.CoreV1().Secrets(o.namespace)
	dice := rand.New(rand.NewPCG(1, 2))
	there := map[string]*corev1.Secret{}
	var written []change
	pace := time.NewTicker(o.duration / time.Duration(o.events))
	defer pace.Stop()
	for len(written) < o.events {
		name := fmt.Sprintf("api-%d", dice.IntN(o.objects))
		before := there[name]
		switch {
		case before == nil:
			made, err := client.Create(ctx, secret(name), metav1.CreateOptions{})
			if err != nil {
				return nil, err
			}
			there[name] = made
			written = append(written, of(made))
		case dice.IntN(5) == 0:
			if err := client.Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
				return nil, err
			}
			delete(there, name)
			written = append(written, change{name: name, uid: before.UID, deleted: true})
		default:
			changed := before.DeepCopy()
			changed.Labels["round"] = strconv.Itoa(len(written))
			made, err := client.Update(ctx, changed, metav1.UpdateOptions{})
			if err != nil {
				return nil, err
			}
			there[name] = made
			written = append(written, of(made))
		}
		select {
		case <-pace.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return written, nil
}

func secret(name string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Name:   name,
			Labels: map[string]string{group + "/cluster-credential-type": "ServiceAccountToken"},
		},
		StringData: map[string]string{"endpoint": "https://127.0.0.1:1", "token": "none"},
	}
}

func of(secret *corev1.Secret) change {
	return change{name: secret.Name, uid: secret.UID, version: number(secret.ResourceVersion)}
}

func number(version string) uint64 {
	number, _ := strconv.ParseUint(version, 10, 64)
	return number
}

func lastOf(written []change) map[string]change {
	last := map[string]change{}
	for _, change := range written {
		last[change.name] = change
	}
	return last
}
