// Command informer watches ConfigMaps of a namespace by way of a hub and a gateway while it changes them directly at
// the cluster, and says whether every change arrived exactly once.
//
// Two readers run side by side, since client-go has two promises:
//   - a RetryWatcher, which resumes where it was and has to see every change, in order, none twice;
//   - a shared informer, whose store has to end equal to a direct list. Each object's resource version only grows, no
//     state of an object is handed on twice, every deletion is. After a relist (client-go does one when a watch
//     ends with an error that it does not know) states in between may be left out; without one nothing may be.
//
// It prints one JSON report and ends with 0; with 1 when it could not do its work. What went wrong on the way is in
// the report: connections that break are what its caller does to it.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

type options struct {
	kubeconfig, server, direct, namespace string
	events, objects                       int
	duration, settle                      time.Duration
}

// report is what the caller reads.
type report struct {
	Written  int `json:"written"`
	Streamed int `json:"streamed"`
	Observed int `json:"observed"`
	// Objects that exist at the end.
	Objects int `json:"objects"`
	// States of objects that the informer was allowed to leave out, because it listed anew.
	LeftOut int `json:"leftOut"`
	// Watches and lists that the two readers asked for, and how many of those were refused or failed.
	Watches  int64    `json:"watches"`
	Lists    int64    `json:"lists"`
	Failed   int64    `json:"failed"`
	Seconds  float64  `json:"seconds"`
	Problems []string `json:"problems"`
}

func main() {
	var o options
	flag.StringVar(&o.kubeconfig, "kubeconfig", "", "of the user of the hub")
	flag.StringVar(&o.server, "server", "", "the cluster's address at the hub, …/clustergateways/NAME/proxy")
	flag.StringVar(&o.direct, "direct", "", "kubeconfig of the cluster itself")
	flag.StringVar(&o.namespace, "namespace", "", "where the ConfigMaps are")
	flag.IntVar(&o.events, "events", 500, "how many changes to make")
	flag.IntVar(&o.objects, "objects", 40, "over how many objects")
	flag.DurationVar(&o.duration, "duration", 10*time.Second, "over how long")
	flag.DurationVar(&o.settle, "settle", time.Minute, "how long after the last change everything may take to arrive")
	flag.Parse()
	result, err := run(o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "informer:", err)
		os.Exit(1)
	}
	if err := json.NewEncoder(os.Stdout).Encode(result); err != nil {
		os.Exit(1)
	}
}

func run(o options) (*report, error) {
	ctx, cancel := context.WithTimeout(context.Background(), o.duration*3+o.settle)
	defer cancel()
	direct, err := client(o.direct, "", nil)
	if err != nil {
		return nil, err
	}
	requests := &requests{}
	through, err := client(o.kubeconfig, o.server, requests)
	if err != nil {
		return nil, err
	}
	list, err := direct.CoreV1().ConfigMaps(o.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	stream, err := startStream(ctx, through, o.namespace, list.ResourceVersion)
	if err != nil {
		return nil, err
	}
	observer := startObserver(ctx, through, o.namespace)
	if err := observer.synced(ctx); err != nil {
		return nil, err
	}
	// Whoever breaks connections may begin.
	fmt.Fprintln(os.Stderr, "informer: synced")
	start := time.Now()
	written, err := write(ctx, direct, o)
	if err != nil {
		return nil, err
	}
	settled := time.Now().Add(o.settle)
	for time.Now().Before(settled) && !(stream.seen(len(written)) && observer.holds(written)) {
		time.Sleep(20 * time.Millisecond)
	}
	final, err := direct.CoreV1().ConfigMaps(o.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	result := &report{Written: len(written), Objects: len(final.Items), Seconds: time.Since(start).Seconds()}
	result.Problems = append(stream.problems(written), observer.problems(written, final.Items, requests.lists() > 1, result)...)
	result.Streamed, result.Watches, result.Lists, result.Failed = stream.count(), requests.watches(), requests.lists(), requests.failed()
	return result, nil
}

func client(kubeconfig, server string, requests *requests) (kubernetes.Interface, error) {
	config, err := clientcmd.BuildConfigFromFlags(server, kubeconfig)
	if err != nil {
		return nil, err
	}
	// The pace is the writer's.
	config.QPS = -1
	if requests != nil {
		config.Wrap(requests.wrap)
	}
	return kubernetes.NewForConfig(rest.AddUserAgent(config, "lab-informer"))
}
