// Package registration makes the controller's webhook configurations again when somebody has deleted them.
//
// They belong to whoever installed the controller, and go with the rest when that is uninstalled. A controller that made
// them again then would leave the cluster a webhook that nobody answers. So it waits until they have been missing for some
// seconds, in which helm uninstall and kubectl delete -k have gone on to the Deployment, looks whether its own Deployment
// is there to stay, and makes its ClusterRole the owner of what it makes: where that goes, Kubernetes deletes the rest.
package registration
