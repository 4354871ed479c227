# A real Kubernetes node for tests; see hack/cluster/README.md. Included by the main Makefile.

.PHONY: cluster-up cluster-down cluster-build envtest-assets

cluster-up: ## start a one-node Kubernetes cluster (root; CLUSTER=kind where Docker is)
	@hack/cluster/up.sh

cluster-down: ## stop it and remove all its state
	@hack/cluster/down.sh

cluster-build: ## build everything that the cluster runs (about 15 minutes cold, kept in the cache)
	@hack/cluster/build.sh node

envtest-assets: ## make sure etcd, kube-apiserver and kubectl are there; prints the folder for KUBEBUILDER_ASSETS
	@hack/cluster/build.sh assets
