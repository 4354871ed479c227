// Package cell says which part of a cluster a release of the control plane serves.
//
// Several releases can share a cluster, each in a namespace of its own. A release with a revision serves the namespaces whose label
// bearerguard.dev/revision names it; the one without serves those that have no such label. A namespace is served by one release, or by none
// if its label names a revision that nobody has installed.
//
// Pods stay with the release that injected them, since they hold its address and trust its authority. So a namespace whose label has
// changed is served by two for a while: statuses and new pods are the new one's, and the old one goes on telling its own pods of policies and
// revocations until the last of them is gone.
package cell
