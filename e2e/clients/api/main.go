// Command api reads the gateway's own resources by way of a hub, as controllers do, while it changes the Secrets that
// they are made of and somebody else restarts the gateway, and says whether every change arrived.
//
// These readers run side by side, on ClusterGateways and on VirtualClusters:
//   - a watch that is taken up again where it ended, and trusts nobody: between two lists it has to see every change
//     exactly once and in order;
//   - a dynamic informer of client-go;
//   - informers of the typed client, which stream their lists or list;
//   - a cache of controller-runtime, of small types of its own.
//
// All stores have to end equal to a list. No state of an object may come twice, no version may go
// back, and each deletion comes once.
//
// It prints one JSON report and ends with 0; with 1 when it could not do its work. What went wrong on the way is in
// the report.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"cluster-gateway/e2e/clients/api/v1alpha1"
)

type options struct {
	kubeconfig, direct, namespace string
	events, objects               int
	duration, settle              time.Duration
}

// report is what the caller reads.
type report struct {
	Written int `json:"written"`
	// Objects that exist at the end.
	Objects int `json:"objects"`
	// Events and lists of the watches that trust nobody.
	Streamed int `json:"streamed"`
	Relisted int `json:"relisted"`
	// States that the informers and the caches handed on.
	Observed int      `json:"observed"`
	Seconds  float64  `json:"seconds"`
	Problems []string `json:"problems"`
}

// reader is one of them.
type reader interface {
	// holds says whether the last change of every object has arrived.
	holds(written []change) bool
	// problems says what was wrong, and adds what was seen to the report.
	problems(ctx context.Context, written []change, result *report) []string
}

func main() {
	var o options
	flag.StringVar(&o.kubeconfig, "kubeconfig", "", "of the user of the hub")
	flag.StringVar(&o.direct, "direct", "", "kubeconfig of somebody who may write Secrets on the hub")
	flag.StringVar(&o.namespace, "namespace", "", "where the Secrets are")
	flag.IntVar(&o.events, "events", 300, "how many changes to make")
	flag.IntVar(&o.objects, "objects", 20, "over how many Secrets")
	flag.DurationVar(&o.duration, "duration", 10*time.Second, "over how long")
	flag.DurationVar(&o.settle, "settle", time.Minute, "how long after the last change everything may take to arrive")
	flag.Parse()
	result, err := run(o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "api:", err)
		os.Exit(1)
	}
	if err := json.NewEncoder(os.Stdout).Encode(result); err != nil {
		os.Exit(1)
	}
}

func run(o options) (*report, error) {
	ctx, cancel := context.WithTimeout(context.Background(), o.duration*3+o.settle+30*time.Second)
	defer cancel()
	config, err := load(o.kubeconfig)
	if err != nil {
		return nil, err
	}
	direct, err := load(o.direct)
	if err != nil {
		return nil, err
	}
	through, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	generated, err := v1alpha1.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	secrets, err := kubernetes.NewForConfig(direct)
	if err != nil {
		return nil, err
	}
	var readers []reader
	for _, resource := range resources {
		stream, err := startStream(ctx, through, resource)
		if err != nil {
			return nil, err
		}
		informer, err := startInformer(ctx, through, resource)
		if err != nil {
			return nil, err
		}
		cache, err := startCache(ctx, config, through, resource)
		if err != nil {
			return nil, err
		}
		typed, err := startTyped(ctx, generated, resource.Resource)
		if err != nil {
			return nil, err
		}
		readers = append(append(readers, stream, informer, cache), typed...)
	}
	// Whoever restarts gateways may begin.
	fmt.Fprintln(os.Stderr, "api: synced")
	start := time.Now()
	written, err := write(ctx, secrets, o)
	if err != nil {
		return nil, err
	}
	settled := time.Now().Add(o.settle)
	for time.Now().Before(settled) && !all(readers, written) {
		time.Sleep(20 * time.Millisecond)
	}
	result := &report{Written: len(written), Seconds: time.Since(start).Seconds(), Problems: []string{}}
	for _, last := range lastOf(written) {
		if !last.deleted {
			result.Objects++
		}
	}
	for _, reader := range readers {
		result.Problems = append(result.Problems, reader.problems(ctx, written, result)...)
	}
	return result, nil
}

func all(readers []reader, written []change) bool {
	for _, reader := range readers {
		if !reader.holds(written) {
			return false
		}
	}
	return true
}

func load(kubeconfig string) (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	// The pace is the writer's.
	config.QPS = -1
	return rest.AddUserAgent(config, "lab-api"), nil
}
