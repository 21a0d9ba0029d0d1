// Command kubectl is that of Kubernetes 1.31, four minor versions older than the lab's control planes: the main
// function of k8s.io/kubernetes/cmd/kubectl at that version, without the rest of that module.
package main

import (
	"k8s.io/component-base/cli"
	"k8s.io/kubectl/pkg/cmd"
	"k8s.io/kubectl/pkg/cmd/util"

	// Kubeconfigs may name any of client-go's authentication plugins.
	_ "k8s.io/client-go/plugin/pkg/client/auth"
)

func main() {
	if err := cli.RunNoErrOutput(cmd.NewDefaultKubectlCommand()); err != nil {
		util.CheckErr(err)
	}
}
