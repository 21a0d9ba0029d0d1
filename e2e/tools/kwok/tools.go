//go:build tools

// Package tools pins the fake kubelet that the lab runs.
package tools

import _ "sigs.k8s.io/kwok/cmd/kwok"
