// The three processes of a Kubernetes control plane in one binary, for tests: etcd, kube-apiserver and
// kube-controller-manager as they are released, and the kubectl of the same release. It adds nothing to them.
//
//	controlplane etcd FOLDER CLIENT_URL PEER_URL
//	controlplane kube-apiserver FLAGS...
//	controlplane kube-controller-manager FLAGS...
//	controlplane kubectl ARGUMENTS...
//
// They run as three processes: the commands share global feature gates, and tests kill them singly.
package main

import (
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"syscall"

	"go.etcd.io/etcd/server/v3/embed"
	"k8s.io/component-base/cli"
	kubectl "k8s.io/kubectl/pkg/cmd"
	kubectlerrors "k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
)

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func etcd(folder, client, peer string) {
	clientURL, peerURL := *must(url.Parse(client)), *must(url.Parse(peer))
	config := embed.NewConfig()
	config.Dir, config.LogLevel, config.UnsafeNoFsync = folder, "error", true
	config.ListenClientUrls, config.AdvertiseClientUrls = []url.URL{clientURL}, []url.URL{clientURL}
	config.ListenPeerUrls, config.AdvertisePeerUrls = []url.URL{peerURL}, []url.URL{peerURL}
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	server := must(embed.StartEtcd(config))
	<-server.Server.ReadyNotify()
	fmt.Println("ready")
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	<-stop
	server.Close()
}

func main() {
	os.Args = os.Args[1:] // the subcommand becomes the program's name
	switch os.Args[0] {
	case "etcd":
		etcd(os.Args[1], os.Args[2], os.Args[3])
	case "kube-apiserver":
		os.Exit(cli.Run(apiserver.NewAPIServerCommand()))
	case "kube-controller-manager":
		os.Exit(cli.Run(controllers.NewControllerManagerCommand()))
	case "kubectl":
		kubectlerrors.CheckErr(cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()))
	default:
		fmt.Fprintln(os.Stderr, "usage: controlplane etcd|kube-apiserver|kube-controller-manager|kubectl ...")
		os.Exit(2)
	}
}
