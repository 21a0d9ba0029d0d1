//go:build tools

// Package tools pins the Konnectivity server and agent that the lab runs.
package tools

import (
	_ "sigs.k8s.io/apiserver-network-proxy/cmd/agent"
	_ "sigs.k8s.io/apiserver-network-proxy/cmd/server"
	_ "sigs.k8s.io/apiserver-network-proxy/konnectivity-client/pkg/client"
)
