// Command typed does by way of a hub what programs with the Go gateway's generated client do: it gets, lists and watches
// ClusterGateways and VirtualClusters, writes a cluster's health, and goes to a cluster through one.
//
// It says `ready` on stderr once it watches, waits until a cluster has come and gone, prints one JSON report and ends
// with 0; with 1 and a message when something was not as it has to be.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"cluster-gateway/e2e/clients/api/v1alpha1"
)

// report is what the caller compares.
type report struct {
	// Names as they were listed.
	ClusterGateways []string `json:"clusterGateways"`
	VirtualClusters []string `json:"virtualClusters"`
	// What each ClusterGateway's credential is shown as.
	Credentials map[string]*v1alpha1.ClusterAccessCredential `json:"credentials"`
	// Events of the cluster that came and went, on either resource.
	Events []string `json:"events"`
	// What a member says its name is.
	Whoami string `json:"whoami"`
}

func main() {
	kubeconfig := flag.String("kubeconfig", "", "of the user of the hub")
	member := flag.String("member", "", "a cluster that can be reached, and whose health may be written")
	passing := flag.String("passing", "", "the cluster that will come and go")
	flag.Parse()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	result, err := run(ctx, *kubeconfig, *member, *passing)
	if err != nil {
		fmt.Fprintln(os.Stderr, "typed:", err)
		os.Exit(1)
	}
	if err := json.NewEncoder(os.Stdout).Encode(result); err != nil {
		os.Exit(1)
	}
}

func run(ctx context.Context, kubeconfig, member, passing string) (*report, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	rest.AddUserAgent(config, "lab-typed")
	client, err := v1alpha1.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	result := &report{}
	if err := read(ctx, client, result); err != nil {
		return nil, fmt.Errorf("reading: %w", err)
	}
	if err := health(ctx, client.ClusterGateways(), member); err != nil {
		return nil, fmt.Errorf("health: %w", err)
	}
	if result.Whoami, err = whoami(ctx, config, member); err != nil {
		return nil, fmt.Errorf("through the gateway: %w", err)
	}
	if result.Events, err = follow(ctx, client, passing); err != nil {
		return nil, fmt.Errorf("watching: %w", err)
	}
	return result, nil
}
