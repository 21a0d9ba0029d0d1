// Command streams holds exec sessions with client-go, many at once, and says what became of each.
//
//	streams execs  runs short commands and looks whether all of their output and their exit codes arrive
//	streams idle   opens sessions, leaves them idle, then uses each
//
// It prints one JSON report and ends with 0; with 1 when it could not do its work. What went wrong with a session is
// in the report.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/remotecommand"
)

type options struct {
	kubeconfig, server, namespace, pod, protocol string
	count, parallel                              int
	idle, limit                                  time.Duration
}

// report is what the caller reads.
type report struct {
	mutex sync.Mutex
	// Sessions that went as they should.
	OK int `json:"ok"`
	// Sessions that ended as if all was well, with less or other output than there was.
	Torn int `json:"torn"`
	// Sessions whose exit code is not the command's.
	WrongCode int `json:"wrongCode"`
	// Sessions that failed, by the error's text.
	Errors  map[string]int `json:"errors"`
	Seconds float64        `json:"seconds"`
}

func main() {
	if len(os.Args) < 2 {
		fail(fmt.Errorf("execs or idle?"))
	}
	var o options
	flags := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	flags.StringVar(&o.kubeconfig, "kubeconfig", "", "of the user")
	flags.StringVar(&o.server, "server", "", "another server than the kubeconfig's, …/clustergateways/NAME/proxy")
	flags.StringVar(&o.namespace, "namespace", "", "the pod's")
	flags.StringVar(&o.pod, "pod", "", "where the commands run")
	flags.StringVar(&o.protocol, "protocol", "websocket", "spdy or websocket")
	flags.IntVar(&o.count, "count", 100, "sessions in all")
	flags.IntVar(&o.parallel, "parallel", 8, "sessions that run at once (execs), or are opened at once (idle)")
	flags.DurationVar(&o.idle, "for", time.Minute, "how long sessions are idle")
	flags.DurationVar(&o.limit, "limit", time.Minute, "how long a short session, or a step of an idle one, may take")
	_ = flags.Parse(os.Args[2:])
	sessions, err := connect(o)
	if err != nil {
		fail(err)
	}
	result := &report{Errors: map[string]int{}}
	start := time.Now()
	switch os.Args[1] {
	case "execs":
		sessions.execs(o, result)
	case "idle":
		sessions.idle(o, result)
	default:
		fail(fmt.Errorf("there is no %s", os.Args[1]))
	}
	result.Seconds = time.Since(start).Seconds()
	if err := json.NewEncoder(os.Stdout).Encode(result); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "streams:", err)
	os.Exit(1)
}

// sessions opens them.
type sessions struct {
	config   *rest.Config
	client   kubernetes.Interface
	protocol string
	ns, pod  string
}

func connect(o options) (*sessions, error) {
	if o.protocol != "spdy" && o.protocol != "websocket" {
		return nil, fmt.Errorf("--protocol=%s is neither spdy nor websocket", o.protocol)
	}
	config, err := clientcmd.BuildConfigFromFlags(o.server, o.kubeconfig)
	if err != nil {
		return nil, err
	}
	// The pace is --parallel's.
	config.QPS = -1
	client, err := kubernetes.NewForConfig(rest.AddUserAgent(config, "lab-streams"))
	if err != nil {
		return nil, err
	}
	return &sessions{config: config, client: client, protocol: o.protocol, ns: o.namespace, pod: o.pod}, nil
}

// stream runs a command until it ends; its error is nil, a utilexec.CodeExitError, or that of a session that failed.
func (s *sessions) stream(ctx context.Context, command []string, streams remotecommand.StreamOptions) error {
	request := s.client.CoreV1().RESTClient().Post().Resource("pods").Namespace(s.ns).Name(s.pod).
		SubResource("exec").VersionedParams(&corev1.PodExecOptions{
		Container: "main",
		Command:   command,
		Stdin:     streams.Stdin != nil,
		Stdout:    streams.Stdout != nil,
		Stderr:    streams.Stderr != nil,
	}, scheme.ParameterCodec)
	var executor remotecommand.Executor
	var err error
	if s.protocol == "spdy" {
		executor, err = remotecommand.NewSPDYExecutor(s.config, "POST", request.URL())
	} else {
		executor, err = remotecommand.NewWebSocketExecutor(s.config, "GET", request.URL().String())
	}
	if err != nil {
		return err
	}
	return executor.StreamWithContext(ctx, streams)
}

func (r *report) count(number *int) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	*number++
}

func (r *report) failed(what string, err error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.Errors[what+": "+err.Error()]++
}
