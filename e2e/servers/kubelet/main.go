// Command kubelet stands in for a kubelet: it serves exec, attach and port-forward as kubelet's own packages do, with
// processes of this machine for containers.
//
// kwok plays the nodes of most tests, but its attach only follows a file, and of a command that fails it says
// "internal error" instead of the exit code. The streams here are those of k8s.io/kubelet/pkg/cri/streaming, as in
// containerd and CRI-O; only what they are connected to is ours:
//   - exec runs the command, on a terminal when one is asked for;
//   - attach joins the process that the pod is said to run: a shell that answers each line on stdout and stderr;
//   - port-forward leads to a port of 127.0.0.1.
//
// It asks nobody whether a pod exists: whoever reaches it has passed kube-apiserver.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"

	"k8s.io/apimachinery/pkg/types"
	remotecommandconsts "k8s.io/apimachinery/pkg/util/remotecommand"
	"k8s.io/kubelet/pkg/cri/streaming/portforward"
	"k8s.io/kubelet/pkg/cri/streaming/remotecommand"
)

// What kubelet and container runtimes use.
const (
	idleTimeout     = 4 * time.Hour
	creationTimeout = remotecommandconsts.DefaultStreamCreationTimeout
)

func main() {
	listen := flag.String("listen", "", "ADDRESS:PORT of 127.0.0.1")
	cert := flag.String("cert", "", "file of the serving certificate")
	key := flag.String("key", "", "file of its key")
	work := flag.String("work", "", "where commands run")
	forward := flag.Int("forward", 0, "the port of 127.0.0.1 that every forwarded port leads to")
	flag.Parse()
	if err := os.Chdir(*work); err != nil {
		log.Fatal(err)
	}
	streams := &streams{forward: *forward}
	mux := http.NewServeMux()
	// The paths are those of pkg/kubelet/server; with and without the pod's UID.
	for _, pod := range []string{"{namespace}/{pod}/{container}", "{namespace}/{pod}/{uid}/{container}"} {
		mux.HandleFunc("/exec/"+pod, streams.exec)
		mux.HandleFunc("/attach/"+pod, streams.attach)
	}
	mux.HandleFunc("/portForward/{namespace}/{pod}", streams.portForward)
	mux.HandleFunc("/portForward/{namespace}/{pod}/{uid}", streams.portForward)
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") })
	server := &http.Server{Addr: *listen, Handler: mux}
	log.Fatal(server.ListenAndServeTLS(*cert, *key))
}

type streams struct{ forward int }

func (s *streams) exec(w http.ResponseWriter, r *http.Request) {
	options, err := remotecommand.NewOptions(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	command := r.URL.Query()["command"]
	remotecommand.ServeExec(w, r, s, name(r), uid(r), r.PathValue("container"), command, options,
		idleTimeout, creationTimeout, remotecommandconsts.SupportedStreamingProtocols)
}

func (s *streams) attach(w http.ResponseWriter, r *http.Request) {
	options, err := remotecommand.NewOptions(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	remotecommand.ServeAttach(w, r, s, name(r), uid(r), r.PathValue("container"), options,
		idleTimeout, creationTimeout, remotecommandconsts.SupportedStreamingProtocols)
}

func (s *streams) portForward(w http.ResponseWriter, r *http.Request) {
	options, err := portforward.NewV4Options(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	portforward.ServePortForward(w, r.WithContext(context.WithoutCancel(r.Context())), s, name(r), uid(r), options,
		idleTimeout, creationTimeout, portforward.SupportedProtocols)
}

func name(r *http.Request) string { return r.PathValue("namespace") + "/" + r.PathValue("pod") }

func uid(r *http.Request) types.UID { return types.UID(r.PathValue("uid")) }
